"""Rebuild the projection from the stored events, a day at a time.

The events are merged into the rows that are there: a merge never goes back, so readers see no empty
projection, and tasks whose events were dropped stay. What events can't mend is corrected after it.
"""

from datetime import date

from django.db import transaction

from telemetry import database, staging
from telemetry.consumers import projection

STAGE = database.load(__name__, "stage_task_events")
NEXT_DAY = database.load(__name__, "next_day")


def day_after(day: date | None) -> date | None:
    """Return the next day with events, the first one for None; None at the end."""
    row = NEXT_DAY.one(after=day or date(2000, 1, 1))
    following: date | None = row[0] if row else None
    return following


def rebuild(day: date) -> None:
    """Merge the task events of ``day`` into the projection."""
    with transaction.atomic(using=database.ALIAS):
        staging.prepare()
        STAGE.execute(day=day)
        projection.prepare_replay()
        projection.consume_replayed()
        projection.merge_replayed()
        staging.prepare()
