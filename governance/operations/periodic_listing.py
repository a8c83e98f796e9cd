"""Periodic work as the API, the console and the command show it."""

from dataclasses import dataclass
from datetime import datetime

from governance.access.actors import Actor
from governance.kernel import sql
from governance.models import OperationRun, PeriodicWork

NEWEST_RUNS = sql.load(__name__, "newest_runs")


@dataclass(frozen=True, slots=True)
class Listed:
    """A type of periodic work; its runs by hand count too."""

    type: str
    every: str
    next_due_at: datetime
    last_run: OperationRun | None
    #: Of the last run that has ended.
    last_outcome: str | None


def read(actor: Actor) -> list[Listed]:
    """Return all types, in order. Users who are confined to namespaces see none."""
    if actor.namespaces is not None:
        return []
    works = list(PeriodicWork.objects.order_by("type"))
    newest = NEWEST_RUNS.rows(types=[work.type for work in works])
    runs = OperationRun.objects.select_related("namespace").in_bulk([row[1] for row in newest])
    by_type = {type_: (runs.get(run), outcome) for type_, run, outcome in newest}
    return [
        Listed(work.type, work.every, work.next_due_at, *by_type.get(work.type, (None, None)))
        for work in works
    ]
