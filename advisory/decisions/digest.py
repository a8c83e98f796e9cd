"""What a reviewer sees of a proposal, as one document with its SHA-256.

REST, the console and ``decide`` build it by ``seen``. The page sends the digest back: if what it
showed isn't what would be decided now, the decision is refused.
"""

from dataclasses import dataclass
from typing import Any

import jsonpatch

from advisory.models import StrategyProposal
from advisory.proposals import documents
from governance.access.actors import SYSTEM
from governance.audit import chain
from governance.kernel import canonical, json_diff
from governance.kernel.json_diff import ABSENT, Change
from orbit.profiles import edit
from orbit.profiles.schema import Problems


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reviewer sees. ``document`` is what a decision keeps."""

    document: dict[str, Any]
    sha256: str
    before: dict[str, Any]
    #: The document that an approval makes the current one.
    after: dict[str, Any]
    changes: list[Change]
    #: For which reasons an approval would be refused.
    checks: Problems


def seen(proposal: StrategyProposal) -> Seen:
    """Return what a reviewer sees of ``proposal``.

    The digest covers what a reviewer judges by. The state isn't part of it: who is informed of a
    decision made meanwhile needs to know by whom, not that something has changed.
    """
    kind, name = documents.document_of(proposal)
    before = documents.base_of(proposal)
    after = jsonpatch.apply_patch(before, proposal.patch)
    changes = json_diff.changes(before, after)
    checks = edit.check(kind, name, after, actor=SYSTEM)
    document: dict[str, Any] = chain.storable(
        {
            "proposal": {
                "id": proposal.pk,
                "title": proposal.title,
                "rationale": proposal.rationale,
                "evidence": proposal.evidence,
                "forecast": proposal.forecast,
                "rule": proposal.rule,
                "author": proposal.author,
                "requested_by": proposal.requested_by,
                "required_approvals": proposal.required_approvals,
                "patch": proposal.patch,
            },
            "document": {"kind": kind.noun, "id": name, "revision": proposal.base_revision},
            "changes": [_change(change) for change in changes],
            "checks": checks,
        }
    )
    sha256 = canonical.sha256_hex(canonical.canonical_json(document))
    return Seen(document, sha256, before, after, changes, checks)


def _change(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {
        "pointer": change.pointer,
        **{name: value for name, value in sides.items() if value is not ABSENT},
    }
