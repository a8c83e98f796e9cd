"""What a reviewer sees of a proposal, as one document with its SHA-256.

REST, the console and ``decide`` build it by ``seen``. The page sends the digest back: if what it
showed isn't what would be decided now, the decision is refused.
"""

from dataclasses import dataclass, replace
from typing import Any

from advisory.backtest import summary
from advisory.backtest.run import TooLarge
from advisory.models import StrategyProposal
from advisory.proposals import checks, documents
from advisory.proposals.checks import Examined
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit import chain
from governance.kernel import canonical, json_diff
from governance.kernel.json_diff import ABSENT, Change


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reviewer sees. ``document`` is what a decision keeps."""

    document: dict[str, Any]
    sha256: str
    examined: Examined
    #: Empty if it can't be approved any more.
    changes: list[Change]
    #: As ``summary.of`` makes it; None if it took too long.
    backtest: dict[str, Any] | None


def seen(proposal: StrategyProposal, *, actor: Actor) -> Seen:
    """Return what ``actor``, who sees ``proposal``, sees of it.

    The state isn't part of it: a reviewer who comes second learns who was first, not that something
    has changed. The backtest is that of the cycles before the proposal, so new cycles change
    nothing.
    """
    examined = checks.examine(proposal, actor=actor)
    changes: list[Change] = []
    if examined.before is not None and examined.after is not None:
        changes = json_diff.changes(examined.before, examined.after)
    backtest = _backtest(proposal, actor)
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
            "document": _document(proposal),
            "changes": [_change(change) for change in changes],
            "checks": [
                {"code": check.code, "ok": check.ok, "text": check.text}
                for check in examined.checks
            ],
            "backtest": backtest,
        }
    )
    sha256 = canonical.sha256_hex(canonical.canonical_json(document))
    return Seen(document, sha256, examined, changes, backtest)


def _document(proposal: StrategyProposal) -> dict[str, Any]:
    kind, name = documents.document_of(proposal)
    return {"kind": kind.noun, "id": name, "revision": proposal.base_revision}


def _backtest(proposal: StrategyProposal, actor: Actor) -> dict[str, Any] | None:
    # A token that may only review decides, too.
    reader = replace(actor, scopes=actor.scopes | {Scope.READ})
    try:
        return summary.read(proposal, actor=reader, until=proposal.created_at)
    except TooLarge:
        return None


def _change(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {
        "pointer": change.pointer,
        **{name: value for name, value in sides.items() if value is not ABSENT},
    }
