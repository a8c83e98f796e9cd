"""Events of the pipeline reach telemetry's own database, each once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections

from governance.kernel import clock
from orbit_site.processes.postgres import Server
from telemetry import days, forward, outbox
from telemetry.consumers import registry
from telemetry.ingest import batch
from telemetry.models import OutboxEvent, RefusedEvent, TelemetryDay, TelemetryEvent
from tests.support import database, telemetry
from tests.support.outbox import counters, fill, forwarded, keys, waiting
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.postgres_proxy import (
    PostgresProxy,
    commit_of,
    cut_at_once,
    lose_answer,
    lose_request,
)
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def second(committed: str, server: Server) -> Iterator[psycopg.Connection[Any]]:
    """A session of the owner in telemetry's own database."""
    url = server.url("orbit_owner", database.second(committed))
    with psycopg.connect(url, autocommit=True) as owner:
        yield owner


@pytest.fixture
def second_proxy(committed: str, server: Server) -> Iterator[PostgresProxy]:
    """A proxy that can lose answers of telemetry's own database."""
    with PostgresProxy(server.host) as proxy:
        connections["telemetry"].close()
        for options in (
            connections["telemetry"].settings_dict,
            connections.settings["telemetry"],
        ):
            options["HOST"] = proxy.host
        yield proxy
        connections["telemetry"].close()


def test_a_cycles_events_wait_in_the_outbox_and_are_forwarded_as_they_are(settings: Any) -> None:
    with Receiver() as sink:
        configure_endpoints(settings, default_endpoint=sink.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    before = list(OutboxEvent.objects.order_by("occurred_at", "id").values())
    assert {row["run_id"] for row in before} == {cycle.pk}
    assert sum(row["name"] == "delivery_confirmed" for row in before) == 3
    assert rows("SELECT count(*) FROM telemetry_telemetryevent") == [(0,)]  # the main database's
    assert forward.forward() == len(before)
    after = list(TelemetryEvent.objects.order_by("occurred_at", "id").values())
    assert all(row["recorded_at"] > row["occurred_at"] for row in after)
    for row in (*before, *after):
        del row["recorded_at"]
    assert after == before
    assert (waiting(), counters()) == (0, (len(before), 0))
    assert forward.forward() == 0


def test_the_oldest_come_first_and_a_batch_is_bounded() -> None:
    fill(25)
    oldest = keys()[:10]
    assert forward.forward(10) == 10
    assert (forwarded(), waiting()) == (oldest, 15)
    assert [forward.forward(10), forward.forward(10), forward.forward(10)] == [10, 5, 0]


def test_consumers_read_forwarded_events_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(telemetry.rows("SELECT count(*) FROM telemetry_staging")[0][0])

    consumer = registry.Consumer(frozenset({"delivery_attempt"}), look)
    monkeypatch.setattr(registry, "CONSUMERS", [consumer])
    fill(3)
    copies = [tuple(row) for row in forward.OLDEST.rows(limit=2)]
    batch.store(copies)
    assert forward.forward() == 3
    assert seen == [2, 1]


@pytest.mark.parametrize("fault", [lose_request, lose_answer, cut_at_once])
def test_no_lost_answer_of_the_second_database_loses_or_doubles_an_event(
    second_proxy: PostgresProxy, fault: Any
) -> None:
    fill(20)
    expected = keys()
    rule = second_proxy.on(commit_of(days.SHARE), fault)
    with pytest.raises(forward.NotTaken):
        forward.forward()
    assert (rule.done, waiting()) == (1, 20)
    connections["telemetry"].close()
    assert forward.forward() == 20
    assert (forwarded(), waiting(), counters()) == (expected, 0, (20, 0))


@pytest.mark.parametrize("fault", [lose_request, lose_answer])
@pytest.mark.parametrize("moment", [forward.CLOSE, commit_of(forward.CLOSE)])
def test_no_lost_answer_of_the_main_database_loses_or_doubles_an_event(
    proxy: PostgresProxy, fault: Any, moment: Any
) -> None:
    fill(20)
    expected = keys()
    rule = proxy.on(moment, fault)
    with pytest.raises(OperationalError):
        forward.forward()
    assert rule.done == 1
    connections["default"].close()
    while forward.forward():
        pass
    assert (forwarded(), waiting(), counters()) == (expected, 0, (20, 0))


def test_forwarders_at_once_do_each_others_work_no_harm() -> None:
    fill(600)
    expected = keys()

    def work(number: int) -> int:
        moved = 0
        try:
            while waiting():
                moved += forward.forward(7 + number)
        finally:
            connections.close_all()
        return moved

    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(work, range(4)))
    assert sum(moved) == 600
    assert (forwarded(), counters()) == (expected, (600, 0))


def test_events_of_a_dropped_day_are_kept_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(3, days_ago=50)
    fill(2)
    TelemetryDay.objects.create(
        day=(clock.now() - timedelta(days=50)).date(), dropped_at=clock.now()
    )
    assert forward.forward() == 5
    assert (waiting(), len(forwarded()), counters()) == (0, 2, (2, 3))
    reasons = set(RefusedEvent.objects.values_list("reason", flat=True))
    assert len(reasons) == 1
    assert reasons.pop().startswith("too_old: the day ")
    assert RefusedEvent.objects.filter(metadata__n__in=[1, 2, 3]).count() == 3
    [record] = caplog.records
    assert "refused 3 events" in record.getMessage()
    assert "telemetry_refusedevent" in record.getMessage()


def test_an_event_that_the_second_database_refuses_holds_up_no_other(
    second: psycopg.Connection[Any],
) -> None:
    second.execute(
        "ALTER TABLE telemetry_telemetryevent ADD CONSTRAINT ours CHECK (name <> 'tier_attempt')"
    )
    fill(40)
    fill(1, name="tier_attempt")
    fill(40)
    assert forward.forward() == 81
    assert (waiting(), len(forwarded()), counters()) == (0, 80, (80, 1))
    assert '"ours"' in RefusedEvent.objects.get().reason


@pytest.mark.parametrize(
    "trouble",
    [
        "ALTER TABLE telemetry_telemetryevent RENAME TO away",
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        "REVOKE INSERT ON telemetry_telemetryevent FROM orbit_owner",
    ],
)
def test_trouble_of_the_whole_second_database_refuses_no_event(
    second: psycopg.Connection[Any], committed: str, trouble: str
) -> None:
    fill(5)
    expected = keys()
    connections["telemetry"].close()
    second.execute(trouble.format(database.second(committed)))
    with pytest.raises(forward.NotTaken):
        forward.forward()
    assert (keys(), counters(), RefusedEvent.objects.count()) == (expected, (0, 0), 0)
    connections["telemetry"].close()
    undo = {
        "ALTER TABLE": "ALTER TABLE away RENAME TO telemetry_telemetryevent",
        "ALTER DATABASE": "SET default_transaction_read_only = off;"
        "ALTER DATABASE {} RESET default_transaction_read_only",
        "REVOKE": "GRANT INSERT ON telemetry_telemetryevent TO orbit_owner",
    }
    [statements] = [text for start, text in undo.items() if trouble.startswith(start)]
    second.execute(statements.format(database.second(committed)))
    assert forward.forward() == 5
    assert forwarded() == expected


def test_refused_events_are_deleted_after_ninety_days() -> None:
    fill(2, days_ago=1)
    TelemetryDay.objects.create(
        day=(clock.now() - timedelta(days=1)).date(), dropped_at=clock.now()
    )
    forward.forward()
    assert forward.prune() == 0
    first = RefusedEvent.objects.order_by("id")[:1].get()
    RefusedEvent.objects.filter(pk=first.pk).update(refused_at=clock.now() - timedelta(days=91))
    assert forward.prune() == 1
    assert RefusedEvent.objects.count() == 1


def test_the_backlog_says_how_many_wait_for_how_long_and_why() -> None:
    fill(3)
    rows("UPDATE telemetry_outboxevent SET occurred_at = now() - interval '90 s' RETURNING 1")
    backlog = outbox.backlog()
    assert backlog is not None
    assert (backlog.count, backlog.problem, backlog.needs_a_look) == (3, None, True)
    assert 85 < backlog.oldest_seconds < 600
    forward.note("no route to host")
    first = outbox.backlog(most=2)
    forward.note("out of disk")
    again = outbox.backlog(most=2)
    assert first is not None
    assert again is not None
    assert (again.count, again.problem) == (2, "out of disk")
    assert again.failing_since == first.failing_since is not None
    forward.note(None)
    forward.forward()
    well = outbox.backlog()
    assert well is not None
    assert (well.count, well.failing_since, well.needs_a_look, well.forwarded) == (
        0,
        None,
        False,
        3,
    )
