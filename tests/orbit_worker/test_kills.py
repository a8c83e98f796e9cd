"""Workers and web servers are killed with SIGKILL; others finish what they held, once."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit.conductor import aggregate, create, leases
from orbit.models import ConductorRun, ConductorTask
from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.postgres_proxy import PostgresProxy, Session
from tests.support.project import PROJECT
from tests.support.web_server import start, wait_until_it_serves

pytestmark = [pytest.mark.processes, pytest.mark.one_database]

DONE, HELD, FREE = 5, 50, 10
# Its effects are lines of a file. The first worker ends some tasks, and then hangs.
WORKER = """
import os, sys, threading
from orbit_worker import Worker

effects = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

def work(task):
    os.write(effects, f"{task.input['index']} {task.attempt}\\n".encode())
    if task.input["index"] >= int(sys.argv[2]):
        threading.Event().wait()
    return task.attempt

Worker(work, ahead=int(sys.argv[3]), name=sys.argv[4], lease_seconds=600).run()
"""


def hand_in(number: int) -> None:
    tasks = [{"name": f"t{i}", "input": {"index": i}} for i in range(number)]
    create.create({"name": "run", "tasks": tasks}, actor=SYSTEM)


def let_leases_expire() -> None:
    held = ConductorTask.objects.filter(lease_expires_at__isnull=False)
    held.update(lease_expires_at=Now() - timedelta(seconds=1))


def test_fifty_tasks_of_a_killed_worker_are_finished_by_others_none_twice(
    orbit: dict[str, str], tmp_path: Path
) -> None:
    def at_work(name: str, hangs_at: int, ahead: int) -> subprocess.Popen[bytes]:
        arguments = [str(tmp_path / name), str(hangs_at), str(ahead), name]
        return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], env=orbit, cwd=PROJECT)

    hand_in(DONE + HELD + FREE)
    tasks = ConductorTask.objects.order_by("index")
    workers = [at_work("killed", DONE, HELD - 1)]
    try:
        held = tasks.filter(lease_expires_at__isnull=False, worker="killed")
        ended = tasks.filter(state="SUCCEEDED")
        until(lambda: (ended.count(), held.count()) == (DONE, HELD), "it doesn't hold fifty")
        until(lambda: f"{DONE} 1\n" in (tmp_path / "killed").read_text(), "it doesn't go on")
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait(60)
        let_leases_expire()
        workers += [at_work(name, 1_000, 9) for name in ("ann", "bob")]
        until(lambda: ended.count() == DONE + HELD + FREE, "they aren't finished")
        for worker in workers[1:]:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
    finally:
        for worker in workers:
            worker.kill()
    attempts = [1] * DONE + [2] * HELD + [1] * FREE
    assert list(tasks.values_list("attempt", flat=True)) == attempts
    # What is stored is the outcome of the attempt that counts.
    assert list(tasks.values_list("output", flat=True)) == attempts
    effects = Counter(line for file in tmp_path.iterdir() for line in file.read_text().splitlines())
    # The killed one had begun with one task. What it only held, it did nothing of.
    expected = {f"{index} {attempt}" for index, attempt in enumerate(attempts)}
    assert effects == Counter(expected | {f"{DONE} 1"})
    aggregate.run_to_end()
    assert ConductorRun.objects.get().state == "SUCCEEDED"


def test_a_claim_whose_web_server_dies_before_its_answer_is_anothers_after_the_lease(
    orbit: dict[str, str], server: Server, committed: str
) -> None:
    committed_it = threading.Event()

    def hold_answer(session: Session) -> None:
        session.mute()
        session.forward()
        session.answered.wait(60)
        committed_it.set()

    hand_in(3)
    with PostgresProxy(server.host) as proxy:
        proxy.on(leases.CLAIM, hold_answer)
        variables = {**os.environ, **database.environment(server, committed)}
        variables["DATABASE_URL"] = variables["DATABASE_URL"].replace(server.host, proxy.host)
        variables["PORT"] = str(free_port())
        web = start(variables)
        try:
            wait_until_it_serves(variables, web)
            lost = threading.Thread(
                target=_claim_in_vain, args=(variables["PORT"], orbit["ORBIT_TOKEN"])
            )
            lost.start()
            assert committed_it.wait(60)
        finally:
            processes.kill_group(web.pid, signal.SIGKILL)
            web.communicate(timeout=60)
        lost.join(60)
    held = ConductorTask.objects.filter(worker="lost", lease_token__isnull=False)
    # Its transaction may still be ending.
    until(lambda: held.count() == 2, "the claim isn't stored")
    first = _claim(orbit["ORBIT_URL"], orbit["ORBIT_TOKEN"], "ann")
    assert [(task["name"], task["attempt"]) for task in first] == [("t2", 1)]
    let_leases_expire()
    again = _claim(orbit["ORBIT_URL"], orbit["ORBIT_TOKEN"], "ann")
    assert sorted((task["name"], task["attempt"]) for task in again) == [
        ("t0", 2),
        ("t1", 2),
        ("t2", 2),
    ]
    for task in again:
        answer = requests.post(
            f"{orbit['ORBIT_URL']}/conductor/tasks/{task['id']}/complete",
            json={"lease_token": task["lease_token"], "output": "ann"},
            headers={"Authorization": f"Bearer {orbit['ORBIT_TOKEN']}"},
            timeout=60,
        )
        assert answer.status_code == 200
    assert set(ConductorTask.objects.values_list("state", "output")) == {("SUCCEEDED", "ann")}


def _claim(url: str, token: str, worker: str, limit: int = 5) -> list[dict[str, Any]]:
    answer = requests.post(
        f"{url}/conductor/tasks/claim",
        json={"worker": worker, "limit": limit, "lease_seconds": 600},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return tasks


def _claim_in_vain(port: str, token: str) -> None:
    with pytest.raises(requests.RequestException):
        _claim(f"http://127.0.0.1:{port}", token, "lost", 2)
