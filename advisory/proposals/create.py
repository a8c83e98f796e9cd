"""Make proposals: a user's, and what the engine's rules found.

The index over the fingerprints of pending proposals decides which of two equal ones is made.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Max, Min

from advisory.errors import Superseded
from advisory.models import ApprovalPolicy, StrategyProposal
from advisory.proposals import patches, results, validity
from advisory.proposals.patches import Patch
from advisory.states import Proposal
from governance import audit
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import canonical, clock, identifiers, pg_text, reasons, schemas, sql
from orbit.models import Profile, RunProfile
from orbit.profiles.kinds import PROFILE, AnyKind, AnyRow

INSERT = sql.load(__name__, "insert_proposals")

_LONGEST_TITLE = 200
#: An equal proposal can end while ours waits for it; it doesn't come back more often than this.
_TRIES = 5
USERS_SCOPES = (Scope.OPERATE, Scope.REVIEW, Scope.CONFIGURE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal to make. Its patch was parsed, and its result fits."""

    kind: AnyKind
    row: AnyRow
    patch: Patch
    title: str
    rationale: str
    namespace: str | None
    evidence: dict[str, Any]
    forecast: dict[str, Any] | None
    rule: str
    signal: UUID | None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of document, revision and patch."""
        return fingerprint(self.kind.noun, str(self.row), self.row.revision, self.patch)


@dataclass(frozen=True, slots=True)
class Made:
    """A proposal, and whether it is new: else an equal one was pending already."""

    proposal: StrategyProposal
    created: bool

    @property
    def sentence(self) -> str:
        """What happened, to the one who proposed it."""
        if self.created:
            return "Your proposal waits for a reviewer."
        return "The same change was proposed already: this is that proposal."


def propose(
    kind: AnyKind,
    name: str,
    patch: Any,
    *,
    actor: Actor,
    rationale: str,
    title: str = "",
    base_revision: int | None = None,
) -> Made:
    """Make a user's proposal to change the document ``name``, or return the equal pending one.

    Raises PatchInvalid with every problem, ``kind.unknown``, NotAllowed, ReasonInvalid, and
    Superseded if ``base_revision`` isn't the current one.
    """
    if not any(actor.may(scope) for scope in USERS_SCOPES):
        raise NotAllowed(f"This needs one of the permissions {', '.join(USERS_SCOPES)}.")
    row = kind.find(name, actor=actor)
    _ensure_current(kind, row, base_revision)
    parsed = patches.parse(patch)
    rationale = pg_text.clean(rationale.strip())
    if not rationale or len(rationale) > reasons.MAX_LENGTH:
        raise reasons.ReasonInvalid
    results.result(kind, name, row.document, parsed)
    draft = Draft(
        kind,
        row,
        parsed,
        title=_title(title) or f"Change {kind.words} {name}",
        rationale=rationale,
        namespace=_namespace(row, actor),
        evidence={},
        forecast=None,
        rule="",
        signal=None,
    )
    return store([draft], author=actor, requested_by=actor)[0]


def store(drafts: Sequence[Draft], *, author: Actor, requested_by: Actor) -> list[Made]:
    """Insert the drafts of one document kind and profile, with one audit entry; in their order.

    Raises Superseded if a document has moved on.
    """
    if not drafts:
        return []
    rows = {draft.fingerprint: _values(draft, author, requested_by) for draft in drafts}
    with audit.transaction():
        made: dict[str, Made] = {}
        for _ in range(_TRIES):
            made |= _insert([row for key, row in rows.items() if key not in made])
            if len(made) == len(rows):
                break
        else:
            raise RuntimeError("Equal proposals come and go. Try again.")
        for draft in drafts:
            _ensure_unchanged(draft)
        _record([one.proposal for one in made.values() if one.created], requested_by)
    return [made[draft.fingerprint] for draft in drafts]


def fingerprint(noun: str, name: str, base_revision: int, patch: Patch) -> str:
    """Return the SHA-256 of what makes two proposals equal. Raises PatchInvalid."""
    try:
        return canonical.sha256_hex(
            canonical.canonical_json(
                {"kind": noun, "id": name, "base_revision": base_revision, "patch": patch}
            )
        )
    except ValueError as error:
        raise patches.refusal([{"pointer": "/patch", "detail": str(error)}]) from None


def namespaces_of(row: AnyRow) -> list[str]:
    """Return the namespaces that a change of the document concerns, sorted."""
    if isinstance(row, RunProfile):
        return [row.namespace_id]
    names: Any = RunProfile.objects.filter(profile=row, hidden=False).values_list("namespace_id")
    return sorted({name for (name,) in names})


def _insert(rows: list[dict[str, Any]]) -> dict[str, Made]:
    """Insert what has no pending equal; return what there is now, by fingerprint."""
    keys = [row["fingerprint"] for row in rows]
    _expire(keys)
    new = {key for (key,) in INSERT.rows(proposals=json.dumps(rows))}
    pending = StrategyProposal.objects.filter(validity.PENDING, fingerprint__in=keys)
    return {
        proposal.fingerprint: Made(proposal, proposal.id in new)
        for proposal in validity.with_state(pending).prefetch_related("decisions")
    }


def _expire(fingerprints: list[str]) -> None:
    """End equal proposals whose time is over: they aren't in the way."""
    overdue = validity.overdue().filter(fingerprint__in=fingerprints)
    for proposal in overdue.select_for_update().order_by("fingerprint"):
        proposal.state, proposal.ended_at = Proposal.EXPIRED, clock.now()
        proposal.end_reason = validity.TIME_IS_OVER
        proposal.save(update_fields=["state", "ended_at", "end_reason"])
        audit.record(
            Action.PROPOSAL_ENDED,
            actor=SYSTEM.name,
            object_id=str(proposal.id),
            namespace=proposal.namespace,
            before={"state": str(Proposal.PENDING)},
            after={"state": str(Proposal.EXPIRED)},
            reason=proposal.end_reason,
        )


def _values(draft: Draft, author: Actor, requested_by: Actor) -> dict[str, Any]:
    required, hours = _policy(namespaces_of(draft.row))
    row = draft.row
    is_run_profile = isinstance(row, RunProfile)
    return {
        "id": str(identifiers.uuid7()),
        "profile_id": row.profile.profile_id if isinstance(row, RunProfile) else str(row),
        "run_profile_id": str(row) if is_run_profile else None,
        "namespace": draft.namespace,
        "base_revision": row.revision,
        "patch": draft.patch,
        "title": draft.title[:_LONGEST_TITLE],
        "rationale": draft.rationale,
        "evidence": draft.evidence,
        "forecast": draft.forecast,
        "rule": draft.rule,
        "signal_id": None if draft.signal is None else str(draft.signal),
        "author": author.name,
        "author_user": author.user_id,
        "requested_by": requested_by.name,
        "fingerprint": draft.fingerprint,
        "required_approvals": required,
        "expires_after_hours": hours,
    }


def _policy(namespaces: Any) -> tuple[int, int | None]:
    """Return the strictest required approvals and expiry in hours."""
    strictest = ApprovalPolicy.objects.filter(namespace__in=namespaces).aggregate(
        required=Max("required_approvals"), hours=Min("expires_after_hours")
    )
    return strictest["required"] or 1, strictest["hours"]


def _namespace(row: AnyRow, actor: Actor) -> str | None:
    """Return where a user's proposal is seen: in the only namespace, else in the workspace.

    An actor who is confined must see it: then it is the first of theirs.
    """
    namespaces = namespaces_of(row)
    if actor.namespaces is not None:
        return next(name for name in namespaces if actor.sees(name))
    return namespaces[0] if len(namespaces) == 1 else None


def _ensure_current(kind: AnyKind, row: AnyRow, base_revision: int | None) -> None:
    if base_revision is not None and base_revision != row.revision:
        raise Superseded(
            f"Revision {row.revision} of the {kind.words} {row} is the current one, "
            f"not {base_revision}. Read it, and make the patch against it."
        )


def _ensure_unchanged(draft: Draft) -> None:
    rows: Any = Profile if draft.kind is PROFILE else RunProfile
    now = rows.objects.filter(pk=draft.row.pk).values_list("revision", "hidden").first()
    if now != (draft.row.revision, False):
        raise Superseded(f"The {draft.kind.words} {draft.row} was changed just now. Try again.")


def _record(proposals: list[StrategyProposal], requested_by: Actor) -> None:
    if not proposals:
        return
    first = proposals[0]
    audit.record(
        Action.PROPOSAL_CREATED,
        actor=requested_by.name,
        object_id=str(first.id),
        # An entry of one namespace tells nothing of another.
        namespace=first.namespace if len({one.namespace for one in proposals}) == 1 else None,
        after={
            "profile_id": first.profile_id,
            "author": first.author,
            "proposals": [
                {
                    "id": str(one.id),
                    "run_profile_id": one.run_profile_id,
                    "base_revision": one.base_revision,
                    "title": one.title,
                    "patch": one.patch,
                }
                for one in proposals
            ],
        },
        reason=first.rationale if len(proposals) == 1 else "",
    )


def _title(text: str) -> str:
    text = pg_text.clean(text.strip())
    if len(text) > _LONGEST_TITLE or schemas.unseen(text):
        raise patches.PatchInvalid(
            f"A title has at most {_LONGEST_TITLE} visible characters.",
            errors=[{"pointer": "/title", "detail": "Is too long, or has a control character."}],
        )
    return text
