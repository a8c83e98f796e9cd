"""The official client while Orbit, or the way to it, is away."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.conductor import create
from orbit.conductor import leases as claims
from orbit.models import ConductorTask
from orbit_worker import Refused, Task, Worker, api, leases, worker
from tests.support.callers import create_user
from tests.support.faulty_orbit import CUT, LOST, RESET, SILENT, FaultyOrbit
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = pytest.mark.one_database
HTML = {"Content-Type": "text/html"}
BUSY = (503, {"Retry-After": "0"}, b"")
TIRED = (429, {"Retry-After": "0"}, b"{}")
GATEWAY = (502, HTML, b"<h1>Bad Gateway</h1>")
BROKEN = (500, HTML, b"<h1>Oops</h1>")
NO_ORBIT = (200, HTML, b"<h1>Welcome</h1>")
NOT_FOUND = (404, HTML, b"<h1>Not found</h1>")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.02)


@pytest.fixture
def token(committed: str) -> str:
    return tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]


def hand_in(number: int, **members: Any) -> None:
    tasks = [{"name": f"t{i}", "input": {"index": i}, **members} for i in range(number)]
    create.create({"name": "run", "tasks": tasks}, actor=SYSTEM)


def states() -> set[str]:
    return set(ConductorTask.objects.values_list("state", flat=True))


@contextmanager
def at_work(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(60)
    assert not thread.is_alive()


def test_whatever_goes_wrong_on_the_way_the_tasks_are_done(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults = {
        "claim": [BUSY, RESET, TIRED, NO_ORBIT, NOT_FOUND, GATEWAY],
        "complete": [BROKEN, RESET, LOST, CUT, TIRED, NO_ORBIT, LOST],
        "fail": [BUSY, LOST],
    }

    def work(task: Task) -> int:
        if task.input["index"] == 3:
            raise ValueError("no three")
        if task.input["index"] == 4:
            sys.exit("no four")
        return int(task.input["index"])

    hand_in(12)
    with (
        FaultyOrbit(**faults) as orbit,
        at_work(Worker(work, url=orbit.url, token=token, concurrency=2, ahead=5000)),
    ):
        until(lambda: states() == {"SUCCEEDED", "FAILED"}, "they go on")
    assert orbit.faults == {"claim": [], "complete": [], "fail": []}
    # No more than a claim may ask for.
    assert json.loads(orbit.bodies[0][1])["limit"] == 1000
    rows = ConductorTask.objects.order_by("index").values_list("output", "error", "attempt")
    assert [row for row in rows if row[1] is None] == [
        (i, None, 1) for i in range(12) if i not in {3, 4}
    ]
    assert [row[1] for row in rows if row[1]] == ["ValueError: no three", "SystemExit: no four"]
    # An outcome whose answer was lost was taken; that is no reason for alarm.
    assert "wasn't taken" not in caplog.text


def test_a_claim_whose_answer_breaks_off_is_made_again_when_its_lease_is_over(token: str) -> None:
    hand_in(1)
    with (
        FaultyOrbit(claim=[CUT]) as orbit,
        at_work(Worker(lambda task: 1, url=orbit.url, token=token, lease_seconds=1)),
    ):
        until(lambda: states() == {"SUCCEEDED"}, "it isn't done")
    assert ConductorTask.objects.get().attempt >= 2


def test_while_orbit_is_away_the_work_goes_on_and_is_handed_in_later(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(task: Task) -> bool:
        begun.set()
        return may_end.wait(60)

    hand_in(2)
    with (
        FaultyOrbit() as orbit,
        at_work(Worker(work, url=orbit.url, token=token, lease_seconds=600)),
    ):
        assert begun.wait(60)
        orbit.close()
        may_end.set()
        until(lambda: "An outcome waits" in caplog.text)
        orbit.open()
        until(lambda: states() == {"SUCCEEDED"}, "it isn't handed in")
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


def test_a_lease_is_kept_although_heartbeats_fail(token: str) -> None:
    hand_in(1)
    with FaultyOrbit(heartbeat=[RESET, BUSY, SILENT, CUT, NO_ORBIT]) as orbit:

        def work(task: Task) -> bool:
            until(lambda: orbit.answered["heartbeat"] > 0, "no heartbeat arrives")
            return task.is_lost

        with at_work(Worker(work, url=orbit.url, token=token, lease_seconds=9)):
            until(lambda: states() == {"SUCCEEDED"}, "it isn't done")
    task = ConductorTask.objects.get()
    assert (task.output, task.attempt, orbit.faults) == (False, 1, {"heartbeat": []})


def test_thousands_of_leases_are_renewed_in_parts(token: str) -> None:
    hand_in(600)
    hand_in(600)
    # One of them is lost.
    claimed = [task for _ in range(2) for task in claims.claim(SYSTEM, "w", 1_000, 600)]
    ConductorTask.objects.filter(pk=claimed[7].id).update(lease_token="0" * 32)
    held = [Task(t.id, t.name, None, 1, str(t.lease_token), time.monotonic()) for t in claimed]
    with FaultyOrbit() as orbit:
        keeps = leases.Leases(api.Api(orbit.url, token), lambda: held, 3)
        thread = threading.Thread(target=keeps.run)
        thread.start()
        until(lambda: orbit.answered["heartbeat"] >= 3, "they aren't renewed")
        keeps.close()
        thread.join(60)
    named = [json.loads(body)["tasks"] for _, body in orbit.bodies[:3]]
    assert [len(tasks) for tasks in named] == [500, 500, 200]
    assert {task["id"] for tasks in named for task in tasks} == {task.id for task in claimed}
    assert [place for place, task in enumerate(held) if task._lost.is_set()] == [7]


def test_a_stop_lets_what_runs_end_and_gives_back_the_rest(token: str) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(task: Task) -> bool:
        begun.set()
        return may_end.wait(60)

    hand_in(3)
    with FaultyOrbit() as orbit:
        ours = Worker(work, url=orbit.url, token=token, ahead=2, grace_seconds=60)
        with at_work(ours):
            assert begun.wait(60)
            until(lambda: states() == {"RUNNING"})
            ours.stop()
            until(lambda: orbit.answered["release"] == 2, "the others aren't given back")
            may_end.set()
    assert sorted(ConductorTask.objects.values_list("state", "ready")) == [
        ("RUNNING", True),
        ("RUNNING", True),
        ("SUCCEEDED", False),
    ]


def test_a_stop_while_orbit_is_away_does_not_wait_for_it(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    hand_in(30)
    with FaultyOrbit() as orbit:
        ours = Worker(
            lambda task: threading.Event().wait(),
            url=orbit.url,
            token=token,
            ahead=29,
            grace_seconds=0,
        )
        with at_work(ours):
            until(lambda: states() == {"RUNNING"})
            orbit.close()
    assert caplog.text.count("their leases will end") <= 2


@pytest.mark.processes
def test_an_error_of_its_own_ends_the_worker_with_a_nonzero_exit(token: str) -> None:
    odd = (200, {"Content-Type": "application/json"}, b'{"tasks": [{}]}')
    script = "from orbit_worker import Worker\nWorker(print).run()"
    with FaultyOrbit(claim=[odd]) as orbit:
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env={"ORBIT_URL": orbit.url, "ORBIT_TOKEN": token},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == 1
    assert "The worker ends: KeyError: 'id'" in ended.stderr


def test_a_wrong_token_ends_the_worker(token: str) -> None:
    with FaultyOrbit() as orbit, pytest.raises(Refused) as refused:
        Worker(print, url=orbit.url, token="wrong").run()
    assert refused.value.status == 401


def test_an_address_or_token_that_cannot_be_sent_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, token in (("orbit:3000", "x"), ("http://127.0.0.1:1", "x\n")):
        with pytest.raises(ValueError):
            Worker(print, url=url, token=token).run()
    monkeypatch.delenv("ORBIT_URL", raising=False)
    with pytest.raises(ValueError, match="set ORBIT_URL"):
        Worker(print, token="x")
