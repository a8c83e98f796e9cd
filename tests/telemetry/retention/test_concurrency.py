"""Prunes beside ingest, readers, dumps and each other: events of other days never wait for long."""

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction

from orbit_site.backup import programs
from orbit_site.processes.postgres import Server
from telemetry import database, days
from telemetry.ingest.batch import Outcome
from telemetry.models import TelemetryDay
from telemetry.retention import archive, prune
from telemetry.retention.prune import State
from telemetry.retention.sweep import Sweep
from tests.support import database as databases
from tests.support.old_days import archived, days_ago, ingest, lines, run, stored
from tests.support.polling import until
from tests.support.telemetry import rows

#: What ingest of another day may wait for a drop: 50 ms by design, more on a busy machine.
#: One that waits for the transaction beside it would wait for ever.
LONGEST_WAIT_SECONDS = 10.0


@pytest.fixture(autouse=True)
def archiving(settings: Any, committed: str) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True


@pytest.fixture
def other(server: Server, committed: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another session, in a transaction, as the owner of the tables."""
    name = databases.second(committed) if database.IS_SEPARATE else committed
    with psycopg.connect(server.url("orbit_owner", name)) as session:
        yield session


@contextmanager
def beside(act: Any) -> Iterator[list[Any]]:
    """Call ``act`` again and again in a thread during the block; give its results."""
    results: list[Any] = []
    ended = threading.Event()

    def repeat() -> None:
        try:
            while not ended.is_set():
                results.append(act())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(repeat)
        try:
            yield results
        finally:
            ended.set()
        future.result()


def test_events_that_come_while_their_day_is_archived_are_archived_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "STEP_EVENTS", 20)
    old = days_ago(40)
    ingest(old, 100)
    second = iter(range(1, 20))

    def late() -> list[Outcome]:
        time.sleep(0.02)
        number = next(second, None)
        return [] if number is None else ingest(old, 1, second=number)

    with beside(late) as outcomes:
        until(lambda: len(outcomes) > 3, "no late event comes")
        until(lambda: prune.step(old).state is State.DROPPED, "the day is never dropped")
    accepted = 100 + outcomes.count([Outcome.ACCEPTED])
    assert (archived(old), stored(old)) == ({None: accepted}, 0)
    assert len(set(lines(old))) == accepted
    assert ingest(old, 1) == [Outcome.TOO_OLD]


def test_two_prunes_at_once_archive_and_drop_each_day_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "STEP_EVENTS", 20)
    old = [days_ago(40 + number) for number in range(4)]
    for day in old:
        ingest(day, 50)
    barrier = threading.Barrier(2)

    def sweep(_: int) -> Sweep:
        try:
            done = Sweep()
            barrier.wait(30)
            while done.advance() or done.look_again():
                pass
            return done
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(sweep, range(2))
    assert sorted({*one.dropped, *two.dropped}) == sorted(map(str, old))
    assert (one.left, two.left) == ({}, {})
    assert [archived(day) for day in old] == [{None: 50}] * 4
    assert [len(set(lines(day))) for day in old] == [50] * 4


@pytest.mark.parametrize("holder", ["reader", "writer"])
def test_a_long_transaction_delays_the_drop_and_stops_nobody(
    other: psycopg.Connection[Any], holder: str
) -> None:
    old, today = days_ago(40), days_ago(0)
    ingest(old, 3)
    if holder == "reader":
        other.execute("SELECT count(*) FROM telemetry_telemetryevent")
    else:
        other.execute(
            "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
            " VALUES (gen_random_uuid(), now(), 'e')"
        )
    waits: list[float] = []

    def write() -> None:
        began = time.monotonic()
        ingest(today, 1, second=len(waits) % 60)
        waits.append(time.monotonic() - began)

    with beside(write):
        states = [prune.step(old).state for _ in range(20)]
        until(lambda: len(waits) > 20, "the writer stands still")
    assert (states[-1], State.DROPPED in states) == (State.BUSY, False)
    assert max(waits) < LONGEST_WAIT_SECONDS
    assert (stored(old), archived(old)) == (3, {None: 3})
    other.rollback()
    assert run(old) == []
    assert (stored(old), archived(old)) == (0, {None: 3})


def test_a_dump_delays_the_drop_and_holds_the_day_whole(
    server: Server, committed: str, other: psycopg.Connection[Any]
) -> None:
    old = days_ago(40)
    ingest(old, 3)
    while not TelemetryDay.objects.filter(day=old, phase="archived").exists():
        prune.step(old)
    # pg_dump waits for the lock, with its snapshot taken and the events locked.
    other.execute("LOCK TABLE telemetry_taskprojection IN ACCESS EXCLUSIVE MODE")
    name = other.info.dbname
    program = programs.find("pg_dump", server=other.info.server_version // 10_000)
    dump = subprocess.Popen(
        [str(program), "--dbname", server.url("orbit_owner", name), "--data-only"],
        stdout=subprocess.PIPE,
        text=True,
    )
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted"
        " AND relation = 'telemetry_taskprojection'::regclass"
    )
    until(lambda: rows(waiting) == [(1,)], "pg_dump doesn't wait")
    steps = [prune.step(old).state for _ in range(3)]
    assert (stored(old), steps[-1]) in {(3, State.BUSY), (0, State.DROPPED)}
    other.rollback()
    text, _ = dump.communicate(timeout=60)
    assert dump.returncode == 0
    in_dump = text.count('"message": "m"')
    assert in_dump == 3
    if stored(old):
        run(old)
    assert (stored(old), archived(old)) == (0, {None: 3})


def test_a_day_in_pieces_is_dropped_whole(server: Server, other: psycopg.Connection[Any]) -> None:
    old = days_ago(40)
    for hour in range(9):
        other.execute(
            "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
            f" VALUES (gen_random_uuid(), '{old} 0{hour}:00Z', 'e')"
        )
    for _ in range(3):
        other.execute(
            "SELECT telemetry_make_partition('telemetry_telemetryevent',"
            f" 'telemetry_telemetryevent_p{old:%Y%m%d}', '{old} 00:00Z',"
            f" ('{old}'::date + 1)::text || ' 00:00Z', 4)"
        )
    other.commit()
    parts = "SELECT count(*) FROM telemetry_day_partitions() WHERE day = %s"
    assert rows(parts, old) == [(3,)]
    assert run(old) == []
    assert (rows(parts, old), stored(old), archived(old)) == ([(0,)], 0, {None: 9})


def test_a_day_that_somebody_adds_to_is_dropped_after_the_commit() -> None:
    old = days_ago(40)
    ingest(old, 3)
    held, end = threading.Event(), threading.Event()

    def add() -> None:
        try:
            with transaction.atomic(using=database.ALIAS):
                assert days.share([old]) == set()
                held.set()
                end.wait(30)
                ingest(old, 1, second=9)
        finally:
            connections.close_all()

    def pruned() -> None:
        try:
            run(old)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        adding = pool.submit(add)
        held.wait(30)
        pruning = pool.submit(pruned)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        until(lambda: rows(waiting) == [(1,)], "the prune doesn't wait")
        end.set()
        adding.result(60)
        pruning.result(60)
    assert (archived(old), stored(old)) == ({None: 4}, 0)
