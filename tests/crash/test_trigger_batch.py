"""A web server is killed in the middle of a batch of triggers; the client asks again."""

import http.client
import json
import os
import signal
import threading
from contextlib import suppress
from typing import Any

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.access.roles import Scope
from governance.namespaces import registry
from orbit.models import CycleRun
from orbit_site.processes.postgres import Server
from tests.support import callers, database, processes, web_server
from tests.support.polling import until
from tests.support.ports import free_port

pytestmark = pytest.mark.processes
NUMBER = 1_000


def ask(port: str, token: str, body: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": "night",
    }
    connection.request("POST", "/cycles/trigger/batch", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_batch_whose_server_is_killed_goes_on_and_starts_nothing_twice(
    server: Server, committed: str
) -> None:
    _, token = tokens.create(callers.create_user(), scopes=[Scope.OPERATE], actor=SYSTEM)
    names = [f"n{number:03}" for number in range(NUMBER // 2)]
    registry.ensure(names)
    # Two triggers of each namespace, the second far behind the first.
    triggers = [{"namespace": name, "payload": name} for name in [*names, *names]]
    body = json.dumps({"triggers": triggers}).encode()
    variables = {
        **os.environ,
        **database.environment(server, committed),
        "PORT": str(free_port()),
    }
    process = web_server.start(variables)
    web_server.wait_until_it_serves(variables, process)

    def ask_and_lose() -> None:
        with suppress(OSError, http.client.HTTPException, ValueError):
            ask(variables["PORT"], token, body)

    client = threading.Thread(target=ask_and_lose)
    client.start()
    until(lambda: CycleRun.objects.exists(), "no part is committed", every=0.001)
    processes.kill_group(process.pid, signal.SIGKILL)
    process.communicate()
    client.join()
    before = set(CycleRun.objects.values_list("pk", flat=True))
    assert 0 < len(before) < NUMBER, "the kill came too late to show anything"
    with web_server.serving(server, committed) as again:
        status, answer = ask(again["PORT"], token, body)
    assert status == 202
    results = answer["results"]
    assert [result["outcome"] for result in results] == [
        *["started"] * (NUMBER // 2),
        *["queued"] * (NUMBER // 2),
    ]
    found = dict(CycleRun.objects.values_list("pk", "namespace"))
    assert before <= set(found)
    assert {str(cycle): name for cycle, name in found.items()} == {
        result["cycle_run_id"]: trigger["namespace"]
        for result, trigger in zip(results, triggers, strict=True)
    }
