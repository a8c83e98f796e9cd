"""The projection: what the events of a task tell, a row for each task.

A status event is newer by its time, then its rank (task_start, task_end, decision, authority), then
its id. So the result depends neither on the order of the events nor on how they came in batches.
The first namespace that sends an event of a task owns it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from django.db import transaction

from governance.kernel import sql
from telemetry import database
from telemetry.events import Name

NAMES = frozenset({Name.TASK_START, Name.TASK_END, Name.DECISION})
#: Of rows that reconciliation corrected; above those of events of the same time.
AUTHORITY_RANK = 4
#: Of rows that wait for their events during a rebuild.
RESET_RANK = -1
_SLICE = 10_000

_MERGE = sql.fragment(
    __name__,
    "merge_task",
    newer_status=sql.fragment(__name__, "newer_status"),
    newer_start=sql.fragment(__name__, "newer_start"),
)
PROJECT = database.load(
    __name__,
    "project_tasks",
    task_rows=sql.fragment(
        __name__,
        "task_rows",
        target="telemetry_taskprojection",
        owner=sql.fragment(__name__, "owner"),
        merge=_MERGE,
    ),
)
IS_MIXED = database.load(__name__, "is_mixed")
ALLOW = database.load(__name__, "allow_updates")
FORBID = database.load(__name__, "forbid_updates")
LATENCY = database.load(__name__, "sync_latency")

PREPARE_REPLAY = database.load(__name__, "prepare_replay")
PROJECT_REPLAYED = database.load(
    __name__,
    "project_replayed",
    task_rows=sql.fragment(
        __name__,
        "task_rows",
        target="telemetry_replayed_task",
        owner=sql.fragment(__name__, "replayed_owner"),
        merge=_MERGE,
    ),
)
MERGE_REPLAYED = database.load(__name__, "merge_replayed", merge=_MERGE)
RESET = database.load(__name__, "reset_tasks", reset_rank=RESET_RANK)
FORGET = database.load(__name__, "forget_tasks", reset_rank=RESET_RANK)


def consume() -> None:
    """Project the task events of the staging table."""
    PROJECT.execute()
    ((is_mixed,),) = IS_MIXED.rows()
    if is_mixed:
        # Another transaction may have taken a task of ours for its namespace meanwhile. It is
        # visible now, and our events without a namespace count for it.
        PROJECT.execute()


@contextmanager
def updating() -> Iterator[None]:
    """Write to the projection in a transaction. Write rows in ascending order of task_id."""
    with transaction.atomic(using=database.ALIAS):
        ALLOW.rows()
        yield
        # An outer transaction goes on.
        FORBID.rows()


def sync_latency_ms(since: datetime) -> float | None:
    """Return how late the rows that events changed after ``since`` are, on average."""
    row = LATENCY.one(since=since)
    return None if row is None or row[0] is None else float(row[0])


def prepare_replay() -> None:
    """Prepare for ``consume_replayed``, in its transaction."""
    PREPARE_REPLAY.execute()


def consume_replayed() -> None:
    """Project the task events of the staging table aside, for ``merge_replayed``."""
    # A day is read in slices. Upserts of a second slice would begin again at the first task, and
    # deadlock with ingest.
    PROJECT_REPLAYED.execute()


def merge_replayed() -> None:
    """Merge what ``consume_replayed`` put aside, in ascending order."""
    after: str | None = ""
    with updating():
        while after is not None:
            ((after,),) = MERGE_REPLAYED.rows(after=after, limit=_SLICE)


def reset(lost: date | None) -> None:
    """Have all rows wait for their events. They keep their namespace, so that no other takes it.

    Rows marked ``orphaned`` stay as they are: only their events, merged before, know them. So do
    those with events of days up to ``lost``, the last one whose events are gone.
    """
    _in_slices(RESET, lost=lost)


def forget() -> None:
    """Delete the rows for which no event came after ``reset``."""
    _in_slices(FORGET)


def _in_slices(statement: sql.Statement, **params: date | None) -> None:
    after: str | None = ""
    while after is not None:
        with updating():
            ((after,),) = statement.rows(after=after, limit=_SLICE, **params)
