"""What recent cycles of a run profile were like. Each read is bounded."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from uuid import UUID

from governance.access.actors import Actor
from governance.kernel import sql
from orbit.models import CycleRun
from orbit.states import Cycle

USUAL_DURATIONS = sql.load(__name__, "usual_durations")
_RECENT = 20
# The last success is looked for among so many.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Before:
    """The median duration, in seconds, and the last success."""

    usual: float | None = None
    last_success: UUID | None = None


def usual_durations(run_profile_ids: Iterable[str | None]) -> dict[str, float]:
    """Return the median duration, in seconds, of the last 20 cycles of each. One query."""
    names = sorted({name for name in run_profile_ids if name})
    return dict(USUAL_DURATIONS.rows(run_profiles=names, recent=_RECENT)) if names else {}


def before(cycle: CycleRun, *, actor: Actor) -> Before:
    """Return what the last 200 cycles of the same run profile before ``cycle`` were like."""
    if cycle.run_profile_id is None:
        return Before()
    rows = list(
        CycleRun.objects.filter(
            actor.filter(), run_profile_id=cycle.run_profile_id, id__lt=cycle.pk
        )
        .order_by("-id")
        .values_list("id", "status", "started_at", "finished_at")[:_LOOKED_AT]
    )
    took = [
        (finished_at - started_at).total_seconds()
        for _, _, started_at, finished_at in rows[:_RECENT]
        if started_at and finished_at
    ]
    success = next((cycle_id for cycle_id, status, *_ in rows if status == Cycle.SUCCESS), None)
    return Before(median(took) if took else None, success)
