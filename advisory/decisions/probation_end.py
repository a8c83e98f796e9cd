"""The end of a probation that no one confirmed: the earlier revision comes back."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from advisory.decisions import cycles
from advisory.models import Probation, StrategyProposal
from advisory.proposals import documents
from advisory.states import PROBATION
from advisory.states import Probation as Status
from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.errors import OrbitError
from orbit.profiles import edit, history, revisions
from orbit.profiles.expected import exactly
from orbit.profiles.kinds import AnyKind

OVER = sql.load(
    __name__,
    "probations_over",
    first_id=cycles.FIRST_ID,
    document_of=cycles.DOCUMENT_OF,
    run_profiles_of=cycles.RUN_PROFILES_OF,
    ran_with_applied=cycles.RAN_WITH_APPLIED,
)

_FIRST = UUID(int=0)
_PAGE = 100


@dataclass(slots=True)
class Sweep:
    """Where a process looks next among the running probations."""

    after: UUID = _FIRST

    def end_due(self, *, limit: int = _PAGE) -> int:
        """Look at the next ``limit`` probations and end those that are over; return how many."""
        looked_at = OVER.send(after=self.after, only=None, most=limit)
        # Moved before the work: one that can't be ended now must not hold up the others.
        self.after = looked_at[-1][0] if len(looked_at) == limit else _FIRST
        return sum(end(proposal_id) for proposal_id, cause, _ in looked_at if cause is not None)


def end_due(*, limit: int = _PAGE) -> int:
    """End the probations that are over, of the oldest ``limit``; return how many."""
    return Sweep().end_due(limit=limit)


def end(proposal_id: UUID) -> bool:
    """End the probation if it is over and still runs; tell whether this call did.

    One transaction: a crash leaves both the document and the probation as they were.
    """
    with audit.transaction():
        # Lock order: configuration, then probation, as an approval takes them.
        revisions.lock()
        rows = Probation.objects.select_for_update().filter(pk=proposal_id, status=Status.RUNNING)
        probation = rows.first()
        over = OVER.one(after=_FIRST, only=proposal_id, most=1) if probation else None
        if probation is None or over is None or over[1] is None:
            return False
        proposal = StrategyProposal.objects.get(pk=proposal_id)
        _write(probation, proposal, _end(probation, proposal, cause=over[1], ended=over[2]))
    return True


def cycles_ended(proposal_id: UUID) -> int | None:
    """Return how many cycles have counted; None if no probation of the proposal runs."""
    row = OVER.one(after=_FIRST, only=proposal_id, most=1)
    return None if row is None else int(row[2])


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a probation ends."""

    status: Status
    reason: str
    revision: int | None = None


def _end(probation: Probation, proposal: StrategyProposal, *, cause: str, ended: int) -> _Ending:
    """Roll back if that is possible, in the caller's transaction."""
    kind, name = documents.document_of(proposal)
    what = f"the {kind.words} {name}"
    if cause == "hidden":
        return _Ending(
            Status.SKIPPED,
            f"Nothing was rolled back: {what} is no longer in the configuration.",
        )
    if cause == "edited":
        return _Ending(Status.SKIPPED, _edited(kind, name, probation))
    over = (
        f"{ended} cycle{'s' if ended > 1 else ''} ended"
        if cause == "cycles"
        else "its time was over"
    )
    reason = f"{over}, and no one confirmed the proposal {proposal.pk}"
    try:
        result = edit.roll_back(
            kind,
            name,
            probation.fallback_revision,
            actor=SYSTEM,
            source="proposal",
            expected=exactly(probation.applied_revision),
            reason=f"the probation is over: {reason}",
        )
    except OrbitError as refused:
        # It would be refused each time. A user has to decide.
        return _Ending(
            Status.SKIPPED,
            f"Revision {probation.fallback_revision} of {what} can't come back: "
            f"{_details(refused)} Edit it yourself. ({over}.)",
        )
    return _Ending(
        Status.ROLLED_BACK,
        f"Revision {probation.fallback_revision} of {what} came back: {reason}.",
        result.revision,
    )


def _edited(kind: AnyKind, name: str, probation: Probation) -> str:
    last = history.latest(kind, kind.rows.objects.get(**{kind.key: name}))
    reason = f": {last.reason}" if last.reason else ""
    return (
        f"Nothing was rolled back: the {kind.words} {name} was changed meanwhile. Revision "
        f"{last.number} is by {last.author}, "
        f"{last.created_at:%Y-%m-%d %H:%M:%S} UTC{reason}. Look whether it still has "
        f"the change of revision {probation.applied_revision}."
    )


def _details(refused: OrbitError) -> str:
    problems = " ".join(f"{error['pointer']}: {error['detail']}" for error in refused.errors[:3])
    return f"{refused.detail} {problems}".strip()


def _write(probation: Probation, proposal: StrategyProposal, ending: _Ending) -> None:
    PROBATION.move(
        Probation.objects.filter(pk=probation.pk),
        ending.status,
        ended_at=Now(),
        ended_by=SYSTEM.name,
        end_reason=ending.reason,
        made_revision=ending.revision,
    )
    after: dict[str, Any] = {"status": str(ending.status)}
    if ending.revision is not None:
        after["revision"] = ending.revision
    audit.record(
        Action.PROBATION_ENDED,
        actor=SYSTEM.name,
        object_id=str(probation.pk),
        namespace=proposal.namespace,
        before={"status": str(Status.RUNNING), "revision": probation.applied_revision},
        after=after,
        reason=ending.reason,
    )
