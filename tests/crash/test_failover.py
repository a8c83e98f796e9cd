"""A standby takes over, the last commits are lost, and the old primary stays up, read-only."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from orbit_site.processes.postgres import Server
from tests.chaos.testbed import use_database
from tests.support import clusters, ports, processes, project, web_server
from tests.support.callers import api, create_user
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.polling import until
from tests.support.project import PROJECT
from tests.support.receiver import OK, Receiver
from tests.support.standby import Pair, execute, pair

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(400)]
RUNS_TIERS = "SELECT 1 FROM orbit_cyclerun WHERE namespace = 'eu' AND status = 'running'"
STOPPED = "SELECT 1 FROM orbit_executionrecord WHERE event = 'stopped'"
MAKE_DUE = """UPDATE django_q_schedule SET next_run = now()
WHERE name = 'run-profile:ticks' AND next_run IS NOT NULL RETURNING id"""
TICKED = "SELECT 1 FROM orbit_crontick WHERE outcome = 'started'"
SECONDS = 120  # of an overloaded machine


class Stack:
    """A web server and a cluster whose URL names both servers."""

    def __init__(self, servers: Pair, variables: dict[str, str], token: str) -> None:
        self.servers, self.variables, self.token = servers, variables, token

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Return status and document; a 503 has a Retry-After."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.variables['PORT']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": self.token,
                "Content-Type": "application/json",
                "Host": "localhost",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            document = json.load(error)
            if document.get("code") == "database_unavailable":
                assert int(error.headers["Retry-After"]) > 0
            return error.code, document

    def start_cycle(self) -> str:
        def accepted() -> str | None:
            status, document = self.call("POST", "/cycles/trigger", {"run_profile_id": "r1"})
            assert status in {200, 201, 202, 503}, document
            return document["cycle_run_id"] if status < 500 else None

        return until(accepted, "no cycle is accepted", seconds=SECONDS)

    def finish(self, cycle: str) -> str:
        def ended() -> str | None:
            status, document = self.call("GET", f"/cycles/{cycle}")
            return document["status"] if status == 200 and document["finished_at"] else None

        return until(ended, f"{cycle} doesn't end", seconds=SECONDS)

    def halt(self) -> None:
        assert self.call("POST", "/governance/namespaces/eu/halt", {"reason": "a fire"})[0] == 200


@contextmanager
def running_cluster(variables: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "cluster"],
        cwd=PROJECT,
        env=variables,
        start_new_session=True,
    )
    try:
        yield
    finally:
        processes.kill_group(process.pid, signal.SIGKILL)
        process.wait(60)


@pytest.fixture
def delay() -> dict[str, float]:
    """How long the receiver takes."""
    return {"seconds": 0.0}


@pytest.fixture
def stack(server: Server, django_db_blocker: Any, delay: dict[str, float]) -> Iterator[Stack]:
    def slowly(sock: Any) -> None:
        time.sleep(delay["seconds"])
        sock.sendall(OK)

    before = str(connection.settings_dict["NAME"])
    with project.open_folder() as folder, Receiver(slowly) as receiver, pair(folder) as servers:
        tiers = {
            str(tier): {"transformer": "http", "options": {"url": receiver.url}}
            for tier in (1, 2, 3)
        }
        variables = {
            **os.environ,
            "ORBIT_ENV": "test",
            "DATABASE_URL": servers.url("orbit_app"),
            "ORBIT_OWNER_DATABASE_URL": servers.url("orbit_owner"),
            "ORBIT_CONFIG_DIR": str(folder),
            "ORBIT_CRON_SCHEDULE": "",
            "PORT": str(ports.free_port()),
            **clusters.endpoint(receiver.url),
        }
        write_profiles(
            folder,
            [profile("p1", execution_rules={"tiers": tiers}), profile("p2")],
            [
                run_profile("r1", "p1", "eu"),
                run_profile("ticks", "p2", "us", execution_policy={"cron": "* * * * *"}),
            ],
        )
        web = web_server.start(variables)
        try:
            web_server.wait_until_it_serves(variables, web)
            with django_db_blocker.unblock():
                use_database(servers.primary, "orbit")
                token = api(create_user(role="Administrator")).client.defaults["HTTP_AUTHORIZATION"]
                use_database(server, before)
            yield Stack(servers, variables, token)
        finally:
            web.kill()
            web.wait(60)


def test_all_processes_follow_to_the_new_primary_and_no_lost_row_stops_them(
    stack: Stack, delay: dict[str, float]
) -> None:
    servers = stack.servers
    # What the cluster writes at its start, and its first cycle, will be lost.
    until(lambda: execute(servers.standby, "SELECT 1 FROM governance_apitoken"), "no token yet")
    servers.cut()
    with running_cluster(stack.variables):
        assert stack.finish(stack.start_cycle()) == "success"
        until(lambda: execute(servers.primary, "SELECT 1 FROM django_q_schedule"), "no schedule")
        servers.make_primary_read_only()
        until(lambda: stack.call("GET", "/ready")[0] == 503, "/ready is 200 on a read-only server")
        for method, path in (("GET", "/cycles"), ("POST", "/governance/namespaces/eu/halt")):
            status, document = stack.call(
                method, path, {"reason": "x"} if method == "POST" else None
            )
            assert (status, document["code"]) == (503, "database_unavailable")
        assert stack.call("GET", "/health")[0] == 200
        servers.promote()
        until(
            lambda: stack.call("GET", "/ready?cluster=1")[0] == 200,
            "the new primary isn't used",
            seconds=SECONDS,
        )
        # An idle session of the web server may stay: it is asked before its next request.
        until(lambda: not servers.sessions(servers.primary), "a session stays", seconds=SECONDS)
        assert len([n for n in servers.sessions(servers.standby) if "worker" in n]) >= 2
        # Lost: the endpoint's snapshot, the schedule, the cluster's row.
        assert stack.finish(stack.start_cycle()) == "success"
        until(lambda: execute(servers.standby, MAKE_DUE), "the cron is silently off")
        until(lambda: execute(servers.standby, TICKED), "the cron doesn't tick")
        delay["seconds"] = 1.0
        cycle = stack.start_cycle()
        until(lambda: execute(servers.standby, RUNS_TIERS), "no tier runs")
        stack.halt()
        until(lambda: execute(servers.standby, STOPPED), "the halt doesn't stop the cycle")
        assert stack.call("GET", f"/cycles/{cycle}")[1]["status"] != "success"
