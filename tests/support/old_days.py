"""Events of days that are older than the retention."""

from datetime import UTC, date, datetime, timedelta

from telemetry.ingest import batch
from telemetry.ingest.batch import Outcome
from telemetry.retention import prune, reading
from telemetry.retention.prune import State
from tests.support.telemetry import rows

MICROSECOND = timedelta(microseconds=1)


def days_ago(days: int) -> date:
    """Return a UTC day by the database's clock."""
    ((day,),) = rows("SELECT (now() AT TIME ZONE 'UTC')::date - %s", days)
    assert isinstance(day, date)
    return day


def ingest(
    day: date, count: int, *, namespace: str | None = None, second: int = 0, name: str = "decision"
) -> list[Outcome]:
    """Store ``count`` events of ``day``, a microsecond apart."""
    noon = datetime(day.year, day.month, day.day, 12, 0, second, tzinfo=UTC)
    return batch.store(
        [
            batch.event(
                name,
                namespace=namespace,
                metadata={"message": "m", "n": number},
                occurred_at=noon + number * MICROSECOND,
            )
            for number in range(count)
        ]
    )


def stored(day: date) -> int:
    """Count the events of ``day`` that are not archived."""
    ((count,),) = prune.COUNT_EVENTS.rows(day=day)
    return int(count)


def archived(day: date) -> dict[str | None, int]:
    """Return the number of events in each archive of ``day``."""
    return dict(reading.archives(day).values_list("namespace", "event_count"))


def lines(day: date) -> list[bytes]:
    """Return the archived events of ``day``; raises if one is damaged."""
    return b"".join(reading.day_blocks(day)).splitlines()


def run(day: date) -> list[str]:
    """Do all steps of ``day``; return what they noted."""
    notes = []
    for _ in range(500):
        step = prune.step(day)
        if step.note:
            notes.append(step.note)
        if step.state in {State.DROPPED, State.REFUSED}:
            return notes
    raise AssertionError(f"{day} is never dropped: {notes[-3:]}")
