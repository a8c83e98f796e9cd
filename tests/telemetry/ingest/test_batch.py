"""A batch is stored whole; each event once."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from governance.kernel import clock
from telemetry import database
from telemetry.consumers import registry
from telemetry.consumers.registry import Consumer
from telemetry.events import Name
from telemetry.ingest import batch
from telemetry.ingest.batch import Outcome
from telemetry.models import TelemetryDay, TelemetryEvent
from tests.support.telemetry import rows

pytestmark = pytest.mark.django_db


def names() -> list[str]:
    return [event.name for event in TelemetryEvent.objects.order_by("occurred_at", "id")]


def test_an_event_is_stored_as_it_was_given() -> None:
    run_id = UUID(int=7)
    metadata = {"text": 'tab\tline\n\r back\\slash "ü" \U0001f600', "n": [1, 2.5, None, True]}
    event = batch.event(
        "task_start",
        metadata=metadata,
        session_id="s\t1\\N",
        task_id="\\N",
        namespace="eu",
        profile_id="p1",
        run_id=run_id,
        stage="build",
        level="warning",
        duration_ms=1.5,
    )
    assert batch.store([event]) == [Outcome.ACCEPTED]
    stored = TelemetryEvent.objects.get()
    assert (stored.id, stored.occurred_at, stored.metadata) == (event[0], event[1], metadata)
    assert (stored.session_id, stored.task_id, stored.run_id) == ("s\t1\\N", "\\N", run_id)
    assert (stored.namespace, stored.profile_id, stored.stage) == ("eu", "p1", "build")
    assert (stored.level, stored.duration_ms, stored.name) == ("warning", 1.5, "task_start")


def test_an_event_that_is_there_or_twice_in_the_batch_is_a_duplicate() -> None:
    first, second = batch.event("task_start"), batch.event("task_end")
    assert batch.store([first]) == ["accepted"]
    assert batch.store([second, first, second]) == ["accepted", "duplicate", "duplicate"]
    assert batch.store([second, first]) == ["duplicate", "duplicate"]
    assert names() == ["task_start", "task_end"]


def test_the_same_id_at_another_time_is_another_event() -> None:
    first = batch.event("task_start")
    later = batch.event("task_start", id=first[0], occurred_at=first[1] + timedelta(seconds=1))
    assert batch.store([first, later]) == ["accepted", "accepted"]


def test_of_two_events_with_one_key_the_first_counts() -> None:
    first = batch.event("task_start")
    second = batch.event("task_end", id=first[0], occurred_at=first[1])
    assert batch.store([first, second]) == ["accepted", "duplicate"]
    assert names() == ["task_start"]


def test_consumers_see_exactly_the_new_events(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append(rows("SELECT name FROM telemetry_staging ORDER BY ordinal"))

    monkeypatch.setattr(registry, "CONSUMERS", [Consumer(frozenset(Name), look)])
    old, new, twice = batch.event("error"), batch.event("metric"), batch.event("decision")
    batch.store([old])
    batch.store([old, new, twice, twice])
    batch.store([old, new])
    assert seen == [[("error",)], [("metric",), ("decision",)]]


def test_what_no_consumer_reads_goes_straight_into_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append(rows("SELECT ordinal, name FROM telemetry_staging ORDER BY ordinal"))

    monkeypatch.setattr(registry, "CONSUMERS", [Consumer(frozenset({Name.ERROR}), look)])
    unread = [batch.event("command_end") for _ in range(3)]
    errors = [batch.event("error") for _ in range(3)]
    assert batch.store([unread[0], errors[0], errors[0]]) == ["accepted", "accepted", "duplicate"]
    assert batch.store([unread[1], errors[1]]) == ["accepted"] * 2
    # One is there already: each still has its own verdict, and the consumer its own events.
    assert batch.store([unread[2], errors[2], unread[1], errors[1], unread[2]]) == [
        "accepted",
        "accepted",
        "duplicate",
        "duplicate",
        "duplicate",
    ]
    assert batch.store(unread) == ["duplicate"] * 3
    assert [[name for _, name in part if name == "error"] for part in seen] == [["error"]] * 3
    assert seen[1] == [(1, "error")]
    assert sorted(names()) == ["command_end"] * 3 + ["error"] * 3


def test_of_two_events_with_one_key_the_first_counts_if_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "CONSUMERS", [Consumer(frozenset({Name.ERROR}), list)])
    first = batch.event("error")
    second = batch.event("command_end", id=first[0], occurred_at=first[1])
    assert batch.store([first, second]) == ["accepted", "duplicate"]
    assert names() == ["error"]


def test_nothing_is_stored_if_a_consumer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr(registry, "CONSUMERS", [Consumer(frozenset(Name), fail)])
    with pytest.raises(RuntimeError):
        batch.store([batch.event("error")])
    assert names() == []


def test_a_day_gets_its_partition_when_its_first_event_comes() -> None:
    moment = clock.now() - timedelta(days=300)
    assert batch.store([batch.event("metric", occurred_at=moment)]) == ["accepted"]
    assert rows("SELECT tableoid::regclass::text FROM telemetry_telemetryevent") == [
        (f"telemetry_telemetryevent_p{moment:%Y%m%d}",)
    ]


def test_a_dropped_day_takes_no_event_and_gets_no_partition() -> None:
    moment = clock.now() - timedelta(days=200)
    TelemetryDay.objects.create(day=moment.date(), dropped_at=clock.now())
    late, fresh = batch.event("metric", occurred_at=moment), batch.event("error")
    assert batch.store([late, fresh]) == ["too_old", "accepted"]
    assert batch.store([late]) == ["too_old"]
    assert names() == ["error"]
    assert rows("SELECT to_regclass(%s)::text", f"telemetry_telemetryevent_p{moment:%Y%m%d}") == [
        (None,)
    ]


def test_days_are_those_of_utc() -> None:
    moment = datetime.fromisoformat("2039-12-31T23:30:00-02:00")
    TelemetryDay.objects.create(day=date(2040, 1, 1), dropped_at=clock.now())
    assert batch.store([batch.event("metric", occurred_at=moment)]) == ["too_old"]


def test_a_batch_joins_the_callers_transaction() -> None:
    with pytest.raises(RuntimeError), transaction.atomic(using=database.ALIAS):
        batch.store([batch.event("metric")])
        raise RuntimeError
    assert names() == []
