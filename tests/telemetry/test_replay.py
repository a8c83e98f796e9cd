"""A replay of stored and archived events gives what their first reading gave."""

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orbit_site.processes.postgres import Server
from telemetry import database, days, replay
from telemetry.consumers import projection
from telemetry.events import Row
from telemetry.replay import RangeInvalid, Skipped
from tests.support import database as test_database
from tests.support import old_days
from tests.support.polling import until
from tests.support.project import PROJECT
from tests.support.task_events import NOON, event, rows, snapshot, store

FIRST, LAST = NOON.date() - timedelta(days=2), NOON.date() + timedelta(days=1)
DAY = 86_400

metadata = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["a", "b"]),
        "priority": st.integers(-3, 3),
        "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
        "provider_type": st.sampled_from(["Microsoft", "System", "Other"]),
        "provider_cache_hit": st.booleans(),
        "success": st.booleans(),
        "status": st.sampled_from(["pending", "cancelled", "unheard of"]),
        "message": st.sampled_from(["no table", "no disk", 7]),
        "path_name": st.just("p"),
        "size": st.sampled_from([1, 60_000_000, "large"]),
        "name": st.just("m"),
        "value": st.floats(-5, 5),
        **{member: st.just("v") for member in ("file", "policy", "rule", "severity")},
    },
)
events = st.lists(
    st.builds(
        lambda name, seconds, task, columns, found: (name, seconds, task, columns, found),
        st.sampled_from(
            [
                *("task_start", "task_end", "decision", "error", "metric"),
                *("artifact_emit", "policy_violation", "command_start"),
            ]
        ),
        # Few moments, so that many are equal; at the edges of days too.
        st.sampled_from([-DAY, -DAY // 2 - 1, -DAY // 2, 0, 1, 2, DAY // 2 - 1]),
        st.sampled_from(["t1", "t2", None]),
        st.fixed_dictionaries(
            {},
            optional={
                "namespace": st.sampled_from(["eu", "us"]),
                "stage": st.sampled_from(["load", "save"]),
            },
        ),
        metadata,
    ),
    min_size=1,
    max_size=25,
)


def rolled_back() -> transaction.Atomic:
    return transaction.atomic(using=database.ALIAS)


@pytest.mark.django_db(databases="__all__")
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=events, seed=st.integers(0, 2**32))
def test_a_replay_gives_the_same(events: list[Any], seed: int) -> None:
    with rolled_back():
        ingest_scrambled(
            [
                event(name, seconds, number + 1, task_id=task, metadata=found, **columns)
                for number, (name, seconds, task, columns, found) in enumerate(events)
            ],
            random.Random(seed),
        )
        first = snapshot()
        for _ in range(2):
            assert replay.replay(FIRST, LAST).events == len(events)
            assert snapshot() == first
        replay.rebuild()
        assert snapshot() == first
        for number in range((LAST - FIRST).days + 1):
            old_days.run(FIRST + timedelta(days=number))
        assert replay.replay(FIRST, LAST).events == 0
        assert snapshot() == first
        assert replay.replay(FIRST, LAST, archive=True).events == len(events)
        assert snapshot() == first
        replay.rebuild()
        assert snapshot() == first
        transaction.set_rollback(True, using=database.ALIAS)


@pytest.fixture(autouse=True)
def _archived(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True
    # Some events are more than a slice.
    monkeypatch.setattr(replay, "SLICE", 4)


def ingest_scrambled(events: list[Row], shuffled: random.Random) -> None:
    """Store events in random batches; some come twice. Between, tasks are marked orphaned."""
    rest = shuffled.sample(events, len(events))
    while rest:
        cut = shuffled.randrange(1, 9)
        store(*rest[:cut], shuffled.choice(events))
        rest = rest[cut:]
        if shuffled.random() < 0.3:
            with projection.updating():
                rows("UPDATE telemetry_taskprojection SET status = 'orphaned', orphaned_at = now()")


def two_days() -> list[date]:
    """Store a metric, an error and a task on each of two days."""
    for seconds in (0, DAY):
        store(
            event("metric", seconds, metadata={"name": "m", "value": 1}),
            event("error", seconds, metadata={"message": "m"}),
            event("task_start", seconds, task_id=f"t{seconds}"),
        )
    return [NOON.date(), NOON.date() + timedelta(days=1)]


def damage() -> None:
    """Change all that consumers wrote."""
    rows("UPDATE telemetry_metric SET value = 99")
    rows("UPDATE telemetry_errorgroup SET count = 99")
    with projection.updating():
        rows("DELETE FROM telemetry_taskprojection")


@pytest.mark.django_db(databases="__all__")
def test_what_was_lost_or_changed_comes_back() -> None:
    first, last = two_days()
    before = snapshot()
    damage()
    result = replay.replay(first, last)
    assert (result.days, result.events, result.skipped) == (2, 6, {})
    assert snapshot() == before


@pytest.mark.django_db(databases="__all__")
def test_other_days_stay_as_they_are() -> None:
    first, _ = two_days()
    damage()
    replay.replay(first, first)
    assert rows("SELECT value FROM telemetry_metric ORDER BY at") == [(1,), (99,)]
    assert rows("SELECT count FROM telemetry_errorgroup ORDER BY day") == [(1,), (99,)]
    assert rows("SELECT task_id FROM telemetry_taskprojection") == [("t0",)]


@pytest.mark.django_db(databases="__all__")
def test_a_rebuild_forgets_tasks_without_events_and_keeps_orphans() -> None:
    two_days()
    with projection.updating():
        rows("UPDATE telemetry_taskprojection SET status = 'orphaned' WHERE task_id = 't0'")
        rows("UPDATE telemetry_taskprojection SET status = 'failed' WHERE task_id <> 't0'")
        rows(
            "INSERT INTO telemetry_taskprojection (task_id, status, last_status_ts, last_event_ts,"
            " updated_utc) VALUES ('gone', 'running', now(), now(), now())"
        )
    assert replay.rebuild().events == 6
    assert rows("SELECT task_id, status FROM telemetry_taskprojection ORDER BY 1") == [
        ("t0", "orphaned"),
        (f"t{DAY}", "running"),
    ]


@pytest.mark.django_db(databases="__all__")
def test_a_rebuild_keeps_tasks_whose_events_cannot_be_read_again(settings: Any) -> None:
    first, _ = two_days()
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = False
    old_days.run(first)
    before = rows("SELECT task_id, status, title FROM telemetry_taskprojection ORDER BY 1")
    with projection.updating():
        rows("UPDATE telemetry_taskprojection SET status = 'failed' WHERE task_id <> 't0'")
    assert replay.rebuild().events > 0
    assert rows("SELECT task_id, status, title FROM telemetry_taskprojection ORDER BY 1") == before


@pytest.mark.django_db(databases="__all__")
def test_a_dropped_day_keeps_what_was_read_from_it(settings: Any) -> None:
    first, last = two_days()
    before = snapshot()
    old_days.run(first)
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = False
    old_days.run(last)
    result = replay.replay(first, last)
    assert result.skipped == {first: Skipped.ARCHIVED, last: Skipped.DROPPED}
    result = replay.replay(first, last, archive=True)
    assert (result.events, result.skipped) == (3, {last: Skipped.DROPPED})
    assert snapshot() == before


@pytest.mark.django_db(databases="__all__")
def test_an_absurd_range_is_refused() -> None:
    with pytest.raises(RangeInvalid, match="before it begins"):
        replay.replay(date(2026, 1, 2), date(2026, 1, 1))
    with pytest.raises(RangeInvalid, match="at most 4000"):
        replay.replay(date(1000, 1, 1), date(2026, 1, 1))


@pytest.mark.django_db(databases="__all__")
def test_the_command_says_what_it_read_and_what_it_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, last = two_days()
    old_days.run(first)
    call_command("telemetry", "replay", "--from", str(first), "--json")
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "days": 1,
        "events": 3,
        "skipped": [{"day": str(first), "reason": "archived"}],
    }
    assert f"1 days ({first}) were left as they are" in err
    assert "--archive" in err
    call_command(
        *("telemetry", "replay", "--from", f"{first}T23:00:00Z", "--to", str(last), "--archive")
    )
    assert capsys.readouterr() == ("6 events of 2 days were read again\n", "")
    call_command("telemetry", "replay", "--rebuild")
    assert capsys.readouterr().out == "6 events of 2 days were read again\n"


@pytest.mark.parametrize(
    "options", [[], ["--from", "yesterday"], ["--from", "2026-01-01", "--rebuild"]]
)
def test_the_command_refuses_a_range_that_it_cannot_read(options: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("telemetry", "replay", *options)


@pytest.mark.processes
def test_a_kill_in_the_middle_leaves_whole_days(committed: str, server: Server) -> None:
    first, last = two_days()
    before = snapshot()
    damage()
    command = [sys.executable, "manage.py", "telemetry", "replay", "--from", str(first)]
    environment = {**os.environ, **test_database.environment(server, committed)}
    # It waits for this group in the middle of the second day, after it deleted metrics.
    with transaction.atomic(using=database.ALIAS):
        rows("SELECT FROM telemetry_errorgroup WHERE day = %s FOR UPDATE", last)
        with subprocess.Popen(command, cwd=PROJECT, env=environment) as process:
            until(lambda: projected() == ["t0"], "the first day was not replayed")
            until(waits, "the replay did not reach the second day")
            process.kill()
    until(lambda: rows("SELECT value FROM telemetry_metric ORDER BY at") == [(1,), (99,)], "")
    assert rows("SELECT count FROM telemetry_errorgroup ORDER BY day") == [(1,), (99,)]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)
    assert snapshot() == before
    connections.close_all()


def projected() -> list[str]:
    return [task for (task,) in rows("SELECT task_id FROM telemetry_taskprojection ORDER BY 1")]


def waits() -> bool:
    rows("SELECT pg_stat_clear_snapshot()")
    return bool(
        rows(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


@pytest.mark.usefixtures("committed")
def test_ingest_and_replays_that_meet_do_not_deadlock_and_lose_nothing() -> None:
    tasks = [f"t{number:02}" for number in range(12)]
    for seconds in (0, DAY):
        store(*(event("task_start", seconds, task_id=task) for task in tasks))

    def ingest(seed: int) -> None:
        shuffled = random.Random(seed)
        try:
            for number in range(12):
                store(
                    *(
                        event("task_start", shuffled.choice([0, DAY]) + number, task_id=task)
                        for task in shuffled.sample(tasks, len(tasks))
                    ),
                    event("error", number, metadata={"message": "m"}),
                )
        finally:
            connections.close_all()

    def again(_: int) -> None:
        try:
            for _ in range(3):
                replay.replay(NOON.date(), NOON.date() + timedelta(days=1))
            replay.rebuild()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(ingest, 1), pool.submit(ingest, 2)]
        works += [pool.submit(again, 1), pool.submit(again, 2)]
        for work in works:
            work.result()
    during = snapshot()
    assert rows("SELECT sum(count) FROM telemetry_errorgroup") == [(24,)]
    replay.replay(NOON.date(), NOON.date() + timedelta(days=1))
    assert snapshot() == during
    assert projected() == tasks


@pytest.mark.usefixtures("committed")
def test_events_of_a_day_wait_until_its_replay_ends() -> None:
    day = NOON.date()
    store(event("error", 1, metadata={"message": "m"}))

    def late() -> None:
        try:
            store(event("error", 2, metadata={"message": "m"}))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(using=database.ALIAS):
            days.own(day)
            waiting = pool.submit(late)
            until(waits, "the batch did not wait")
            assert replay.replay(day, day).events == 1
        waiting.result()
    assert rows("SELECT count FROM telemetry_errorgroup") == [(2,)]


@pytest.mark.django_db(databases="__all__")
def test_a_day_in_slices_is_read_whole_and_once() -> None:
    start = datetime.combine(NOON.date(), time(0), tzinfo=UTC)
    offset = (start - NOON).total_seconds()
    # At both edges of the day, and many at one moment.
    store(*(event("error", offset, n, metadata={"message": "m"}) for n in range(1, 10)))
    store(event("error", offset + DAY - 0.000001, metadata={"message": "m"}))
    store(event("error", offset + DAY, metadata={"message": "m"}))
    assert replay.replay(NOON.date(), NOON.date()).events == 10
    assert rows("SELECT count FROM telemetry_errorgroup ORDER BY day") == [(10,), (1,)]
