import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, connections
from django_q.models import OrmQ, Task

from governance.kernel import clock
from orbit import interrupts, queue
from orbit.cycles.runner import WorkerProcess
from orbit.interrupts import WorkerState
from orbit_site.processes import worker
from orbit_site.processes.forks import SILENT_SECONDS
from orbit_site.processes.listener import Listener
from tests.support.pipeline import rows


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    """A state for one test: a drain can't be undone."""
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    yield own
    own.drain(0)


@pytest.fixture
def claims(committed: str, process: WorkerState) -> Iterator[worker.Claims]:
    new_claims = worker.Claims(WorkerProcess())
    yield new_claims
    new_claims.close()


def soon(seconds: float, act: Any) -> threading.Thread:
    def run() -> None:
        time.sleep(seconds)
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_waiting_worker_is_woken_by_a_notification(
    claims: worker.Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 600.0)
    thread = soon(0.7, lambda: queue.wake(queue.TICK, "x"))
    task = claims.get()
    thread.join()
    assert isinstance(task, dict)
    assert task["args"] == ("x",)


def test_a_row_whose_notify_was_held_back_is_found_by_the_second_look(
    claims: worker.Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 600.0)
    monkeypatch.setattr(queue, "LINGER", 2.0)  # a busy machine may keep the second row that long
    queue.wake(queue.TICK, "x")
    OrmQ.objects.update(key="elsewhere")

    def act() -> None:
        rows("SELECT pg_notify(%s, '')", queue.CHANNEL)
        time.sleep(queue.QUIET / 2)
        # A second row soon after the first: its process sends no NOTIFY again.
        OrmQ.objects.update(key=queue.QUEUE)

    thread = soon(0.7, act)
    assert isinstance(claims.get(), dict)
    thread.join()


def test_a_draining_worker_claims_nothing_more(claims: worker.Claims, process: WorkerState) -> None:
    queue.wake()
    process.drain(10)
    assert claims.get() == "STOP"
    assert queue.ready_wakeups() == 1


def test_a_waiting_worker_has_heartbeats_and_ends_its_wait_when_it_drains(
    claims: worker.Claims, process: WorkerState
) -> None:
    stamps: list[float] = []
    process.stamp = lambda: stamps.append(time.monotonic())
    thread = soon(1.5, lambda: process.drain(10))
    assert claims.get() == "STOP"
    assert max(later - earlier for earlier, later in pairwise(stamps)) < SILENT_SECONDS
    thread.join()


def test_lost_connections_are_opened_again_and_nothing_is_lost(
    claims: worker.Claims, caplog: pytest.LogCaptureFixture
) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def act() -> None:
        rows(cut)
        queue.wake(queue.TICK, "after")

    thread = soon(0.7, act)
    task = claims.get()
    thread.join()
    assert isinstance(task, dict)
    assert task["args"] == ("after",)
    assert "No task can be claimed" in caplog.text


def test_a_task_that_is_done_is_gone_and_a_failure_is_kept(
    committed: str, process: WorkerState
) -> None:
    for success in (True, False):
        queue.wake(queue.TICK, "x")
        [(row, payload)] = queue.PgBroker().dequeue()
        task = queue.read(row, payload)
        assert task is not None
        worker.Results().put(
            {**task, "success": success, "result": "why : traceback", "stopped": datetime.now(UTC)}
        )
        assert not OrmQ.objects.exists()
    assert Task.objects.get().success is False


def test_a_task_is_acknowledged_over_a_connection_that_was_cut_meanwhile(
    committed: str, process: WorkerState
) -> None:
    queue.wake(queue.TICK, "x")
    [(row, payload)] = queue.PgBroker().dequeue()
    task = queue.read(row, payload)
    assert task is not None
    other = connections.create_connection("default")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()
    worker.Results().put({**task, "success": True, "result": None, "stopped": datetime.now(UTC)})
    assert not OrmQ.objects.exists()


def test_an_idle_worker_looks_instead_of_claiming_and_finds_a_task_without_a_notification(
    claims: worker.Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 0.05)
    tries: list[float] = []
    dequeue = queue.PgBroker.dequeue

    def count(self: queue.PgBroker) -> list[tuple[int, str]]:
        tries.append(time.monotonic())
        return dequeue(self)

    monkeypatch.setattr(queue.PgBroker, "dequeue", count)
    thread = soon(0.7, lambda: queue.PgBroker(queue.WAKE).enqueue("no task"))
    soon(1.4, lambda: queue.wake(queue.TICK, "x"))
    assert isinstance(claims.get(), dict)
    thread.join()
    # At the start; for the row without a NOTIFY, and once after it; for the other one.
    assert len(tries) <= 5


def test_a_retry_is_found_at_its_moment_without_a_notification(
    claims: worker.Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 600.0)
    queue.wake(queue.TICK, "x", at=clock.now() + timedelta(seconds=1))
    began = time.monotonic()
    assert isinstance(claims.get(), dict)
    assert 0.8 < time.monotonic() - began < 30


@pytest.mark.parametrize("ready_at", ["infinity", "-infinity"])
def test_a_task_at_no_time_holds_up_no_look(committed: str, ready_at: str) -> None:
    queue.wake(queue.TICK, "x")
    rows("UPDATE django_q_ormq SET lock = %s::timestamptz RETURNING 1", ready_at)
    listener = Listener(queue.CHANNEL)
    try:
        _, seconds = listener.ask(queue.LOOK.text, queue.LOOKED_FOR)
    finally:
        listener.close()
    assert seconds == float(ready_at)


def test_after_a_lost_connection_the_slots_open_theirs_again(
    claims: worker.Claims, process: WorkerState
) -> None:
    soon(
        0.3,
        lambda: rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE '%%min(first.lock)%%'"
            " AND pid <> pg_backend_pid()"
        ),
    )
    soon(1.2, lambda: process.drain(10))
    assert claims.get() == "STOP"
    assert process.reconnects == 1
