"""The official client against a real web process."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.conductor import create
from orbit.models import ConductorTask
from orbit_worker import Task, Worker
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = [pytest.mark.processes, pytest.mark.one_database]
NEVER_ENDS = """
import time
from orbit_worker import Worker

Worker(lambda task: time.sleep(3600), ahead=2, grace_seconds=0.1).run()
"""


def hand_in(number: int, **members: Any) -> None:
    tasks = [{"name": f"t{i}", "input": {"index": i}, **members} for i in range(number)]
    create.create({"name": "run", "tasks": tasks}, actor=SYSTEM)


def states() -> list[str]:
    return list(ConductorTask.objects.order_by("index").values_list("state", flat=True))


@contextmanager
def at_work(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(60)


def test_many_short_tasks_an_error_and_an_output_that_is_no_json(orbit: dict[str, str]) -> None:
    def work(task: Task) -> Any:
        if task.input["index"] == 3:
            raise ValueError("no three")
        return {1, 2} if task.input["index"] == 4 else task.input["index"]

    hand_in(30)
    worker = Worker(
        work, url=orbit["ORBIT_URL"], token=orbit["ORBIT_TOKEN"], concurrency=2, ahead=20
    )
    with at_work(worker):
        until(lambda: not set(states()) - {"SUCCEEDED", "FAILED"}, "they go on", seconds=60)
    assert [place for place, state in enumerate(states()) if state == "FAILED"] == [3, 4]
    errors = ConductorTask.objects.filter(state="FAILED").order_by("index")
    three, four = errors.values_list("error", flat=True)
    assert three == "ValueError: no three"
    assert four is not None
    assert "isn't JSON" in four
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


def test_a_long_task_keeps_its_lease_and_a_cancelled_one_is_lost(orbit: dict[str, str]) -> None:
    lost: list[str] = []

    def work(task: Task) -> None:
        if task.input["index"] == 0:
            time.sleep(4)  # twice the lease
            return
        until(lambda: task.is_lost, "the task isn't lost", seconds=60)
        lost.append(task.name)

    hand_in(2)
    worker = Worker(
        work, url=orbit["ORBIT_URL"], token=orbit["ORBIT_TOKEN"], concurrency=2, lease_seconds=2
    )
    with at_work(worker):
        until(lambda: states() == ["RUNNING", "RUNNING"], "they aren't claimed", seconds=60)
        ConductorTask.objects.filter(index=2).update(
            state="CANCELLED",
            lease_token=None,
            lease_expires_at=None,
            finished_at="2026-01-01T00:00:00Z",
        )
        until(lambda: states()[0] == "SUCCEEDED" and bool(lost), "they go on", seconds=60)
    assert lost == ["t1"]


def test_at_sigterm_tasks_are_given_back(orbit: dict[str, str]) -> None:
    hand_in(3)
    worker = subprocess.Popen([sys.executable, "-c", NEVER_ENDS], env=orbit, cwd=PROJECT)
    try:
        until(lambda: states() == ["RUNNING"] * 3, "they aren't claimed", seconds=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        worker.kill()
    assert ConductorTask.objects.filter(ready=True, lease_token=None).count() == 3
