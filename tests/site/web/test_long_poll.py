"""Claims that wait at a real web server: clients go away, tasks come from elsewhere."""

import json
from http.client import HTTPConnection

import psutil
import pytest
from django.db import connection, transaction

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.conductor import create
from orbit.models import ConductorTask
from orbit_site.processes.postgres import Server
from tests.support import web_server
from tests.support.callers import create_user
from tests.support.polling import until

pytestmark = [pytest.mark.processes, pytest.mark.one_database]
#: More than the web server has threads, and than its database has connections.
MANY = 300


class Waiter:
    """A claim on a connection of its own."""

    def __init__(self, port: int, token: str) -> None:
        body = json.dumps({"worker": "w", "wait_seconds": 20})
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection.request("POST", "/conductor/tasks/claim", body, headers)
        assert self._connection.sock is not None
        self.end = self._connection.sock.getsockname()[1]

    def names(self) -> list[str]:
        """Wait for the answer and return the names of its tasks; none if it is to try again."""
        answer = self._connection.getresponse()
        body = json.load(answer)
        self.go()
        # Of many at once, some may wait too long for a thread.
        if answer.status == 503 and answer.headers["Retry-After"]:
            return []
        assert answer.status == 200, body
        return [task["name"] for task in body["tasks"]]

    def go(self) -> None:
        """Hang up."""
        self._connection.close()


class Orbit:
    """A web server, and a token to claim with."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._token = tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]

    def claim(self) -> Waiter:
        return Waiter(self.port, self._token)

    def leave(self, waiters: list[Waiter]) -> None:
        """Let them hang up, and return when the server has noticed."""
        for waiter in waiters:
            waiter.go()
        until(lambda: not self._ends() & {waiter.end for waiter in waiters})

    def _ends(self) -> set[int]:
        return {
            each.raddr.port
            for each in psutil.net_connections("tcp")
            if each.laddr.port == self.port and each.status in {"ESTABLISHED", "CLOSE_WAIT"}
        }


def hand_in(*names: str) -> None:
    create.create({"name": "run", "tasks": [{"name": name} for name in names]}, actor=SYSTEM)


def test_clients_that_go_away_keep_no_task(server: Server, committed: str) -> None:
    with web_server.serving(server, committed) as variables:
        orbit = Orbit(int(variables["PORT"]))
        orbit.leave([orbit.claim() for _ in range(20)])
        # One that waits wakes up by a task that another process made.
        waiter = orbit.claim()
        hand_in("first")
        assert waiter.names() == ["first"]

        hand_in("second")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE orbit_conductortask IN EXCLUSIVE MODE")
            claims = [orbit.claim() for _ in range(3)]
            until(_is_a_claim_in_its_thread, "no claim has begun")
            orbit.leave(claims)
        task = ConductorTask.objects.get(name="second")
        until(lambda: _refresh(task).state == "RUNNING" and task.ready, "it isn't given back")
        assert (task.attempt, task.lease_token) == (0, None)
        assert orbit.claim().names() == ["second"]
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


def test_hundreds_wait_and_each_task_wakes_one(server: Server, committed: str) -> None:
    with web_server.serving(server, committed) as variables:
        orbit = Orbit(int(variables["PORT"]))
        waiters = [orbit.claim() for _ in range(MANY)]
        # Others find a thread.
        assert web_server.answers(variables)
        names = {f"t{i}" for i in range(MANY)}
        hand_in(*names)
        claimed: list[str] = []
        while len(claimed) < MANY:
            if names_of_one := waiters.pop(0).names():
                claimed += names_of_one
            else:
                waiters.append(orbit.claim())
        assert (set(claimed), len(claimed)) == (names, MANY)
        waiters = [orbit.claim() for _ in range(20)]
    # The server has ended, and has answered those that waited.
    assert {tuple(waiter.names()) for waiter in waiters} == {()}


def _is_a_claim_in_its_thread() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE NOT granted AND relation = 'orbit_conductortask'::regclass"
        )
        return cursor.fetchone() is not None


def _refresh(task: ConductorTask) -> ConductorTask:
    task.refresh_from_db()
    return task
