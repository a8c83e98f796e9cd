"""Days older than the retention are archived, verified and dropped; no event is lost or doubled."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from telemetry import partitions
from telemetry.ingest import batch
from telemetry.ingest.batch import Outcome
from telemetry.models import TelemetryDay
from telemetry.retention import prune, reading
from telemetry.retention.prune import State

pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()
OLD, OLDER = TODAY - timedelta(days=40), TODAY - timedelta(days=41)


@pytest.fixture(autouse=True)
def archiving(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True


def ingest(
    day: date, count: int, *, namespace: str | None = None, second: int = 0
) -> list[Outcome]:
    noon = datetime(day.year, day.month, day.day, 12, 0, second, tzinfo=UTC)
    return batch.store(
        [
            batch.event("command_start", namespace=namespace, occurred_at=noon + n * MICROSECOND)
            for n in range(count)
        ]
    )


MICROSECOND = timedelta(microseconds=1)


def run(day: date) -> list[str]:
    """Do all steps of a day; return what they noted."""
    notes = []
    for _ in range(200):
        step = prune.step(day)
        if step.note:
            notes.append(step.note)
        if step.state in {State.DROPPED, State.REFUSED}:
            return notes
    raise AssertionError(f"{day} is never dropped: {notes}")


def stored(day: date) -> int:
    ((count,),) = prune.COUNT_EVENTS.rows(day=day)
    return int(count)


def archived(day: date) -> list[tuple[str | None, int]]:
    found = reading.archives(day).values_list("namespace", "event_count")
    return sorted(found, key=lambda pair: pair[0] or "")


def test_a_day_is_archived_per_namespace_and_then_dropped() -> None:
    ingest(OLD, 3)
    ingest(OLD, 5, namespace="eu", second=1)
    ingest(OLD, 7, namespace="us", second=2)
    assert prune.old_days() == [OLD]
    assert run(OLD) == []
    assert archived(OLD) == [(None, 3), ("eu", 5), ("us", 7)]
    assert (stored(OLD), prune.old_days()) == (0, [])
    assert TelemetryDay.objects.get(day=OLD).dropped_at is not None
    assert [v.problem for v in map(reading.verify, reading.archives(OLD))] == ["", "", ""]
    assert ingest(OLD, 1) == [Outcome.TOO_OLD]
    assert partitions.ensure([OLD]) == 0
