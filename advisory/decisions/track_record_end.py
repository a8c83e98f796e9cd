"""The end of a track record: the forecast is compared with the cycles after the approval."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from advisory.decisions import cycles, track_record
from advisory.models import Probation, StrategyProposal, TrackRecord
from advisory.proposals import documents
from advisory.states import FORECAST, Forecast
from advisory.states import Probation as ProbationStatus
from advisory.statistics import comparison, forecasts
from advisory.statistics.comparison import Sample
from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.kernel.identifiers import uuid7_floor
from orbit.profiles import history

DUE = sql.load(
    __name__,
    "track_records_due",
    first_id=cycles.FIRST_ID,
    document_of=cycles.DOCUMENT_OF,
    run_profiles_of=cycles.RUN_PROFILES_OF,
    ran_with_applied=cycles.RAN_WITH_APPLIED,
)
AFTER = sql.load(
    __name__,
    "cycles_after",
    first_id=cycles.FIRST_ID,
    run_profiles_of=cycles.RUN_PROFILES_OF,
    ran_with_applied=cycles.RAN_WITH_APPLIED,
)
BEFORE = sql.load(__name__, "cycles_before", run_profiles_of=cycles.RUN_PROFILES_OF)

_FIRST = UUID(int=0)
_PAGE = 100
#: Of more cycles before, only the newest are compared.
_MOST_BEFORE = 2_000
_STATUS = {True: Forecast.CAME_TRUE, False: Forecast.DID_NOT, None: Forecast.CANNOT_TELL}


@dataclass(slots=True)
class Sweep:
    """Where a process looks next among the waiting track records."""

    after: UUID = _FIRST

    def resolve_due(self, *, limit: int = _PAGE, days: int = track_record.DAYS) -> int:
        """Look at the next ``limit`` track records and resolve those that are due; return how
        many.
        """
        looked_at = DUE.rows(after=self.after, only=None, most=limit, days=days)
        # Moved before the work: one that can't be resolved now must not hold up the others.
        self.after = looked_at[-1][0] if len(looked_at) == limit else _FIRST
        return sum(resolve(row[0], days=days) for row in looked_at if row[1] is not None)


def resolve_due(*, limit: int = _PAGE, days: int = track_record.DAYS) -> int:
    """Resolve the track records that are due, of the oldest ``limit``; return how many."""
    return Sweep().resolve_due(limit=limit, days=days)


def resolve(proposal_id: UUID, *, days: int = track_record.DAYS) -> bool:
    """Resolve the track record if it is due and still waits; tell whether this call did."""
    with transaction.atomic():
        waiting = TrackRecord.objects.select_for_update(skip_locked=True)
        record = waiting.filter(pk=proposal_id, status=Forecast.WAITING).first()
        due = DUE.one(after=_FIRST, only=proposal_id, most=1, days=days) if record else None
        if record is None or due is None or due[1] is None:
            return False
        status, reason, measured = _result(record, due[1])
        FORECAST.move(
            TrackRecord.objects.filter(pk=proposal_id),
            status,
            reason=reason,
            measured=measured,
            ended_at=Now(),
        )
    return True


def _result(record: TrackRecord, cause: str) -> tuple[Forecast, str, dict[str, Any]]:
    """Return what the forecast ended as, the reason, and the numbers."""
    proposal = StrategyProposal.objects.get(pk=record.pk)
    try:
        forecast = forecasts.parse(proposal.forecast)
    except ValueError as error:
        return Forecast.CANNOT_TELL, f"It can't be said: {error}", {}
    before, after = _before(proposal, forecast), _sample(AFTER.rows(proposal=proposal.pk))
    measured = {
        "measure": str(forecast.measure),
        "target": forecast.target,
        "before": before.to_dict(),
        "after": after.to_dict(),
    }
    if cause in {"edited", "hidden"}:
        reason = (
            f"It can't be said: {_what_came_between(proposal, cause)} after {after.cycles} of "
            f"{record.cycles} cycles."
        )
        return Forecast.CANNOT_TELL, reason, measured
    result = comparison.compare(forecast, before, after)
    reason = result.sentence
    if cause == "time" and after.cycles < comparison.LEAST:
        reason += f" Orbit waited {track_record.DAYS} days for {record.cycles}."
    return _STATUS[result.came_true], reason, {**measured, "p": result.p}


def _before(proposal: StrategyProposal, forecast: forecasts.Forecast) -> Sample:
    return _sample(
        BEFORE.rows(
            proposal=proposal.pk,
            first_id=uuid7_floor(forecast.before_from),
            last_id=uuid7_floor(forecast.before_to),
            most=_MOST_BEFORE,
        )
    )


def _sample(rows: list[tuple[Any, ...]]) -> Sample:
    # A clock that was set back may make a latency negative: no cycle took less than nothing.
    return Sample(len(rows), [max(0.0, latency) for (latency,) in rows if latency is not None])


def _what_came_between(proposal: StrategyProposal, cause: str) -> str:
    """Return what ended the time in which the change could be watched."""
    kind, name = documents.document_of(proposal)
    if cause == "hidden":
        return f"the {kind.words} {name} left the configuration"
    if Probation.objects.filter(pk=proposal.pk, status=ProbationStatus.ROLLED_BACK).exists():
        return "the probation ended and the earlier revision came back"
    assert proposal.applied_revision is not None  # noqa: S101 - it was approved
    base, edit = (
        history.find(kind, name, number, actor=SYSTEM)
        for number in (proposal.base_revision, proposal.applied_revision + 1)
    )
    did = "went back to the earlier document" if edit.document == base.document else "edited it"
    return f"{edit.author} {did} (revision {edit.number})"
