"""The time from a trigger to the first POST at the sink, on an idle system."""

import http.client
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.baseline import PAYLOAD
from benchmarks.testbed import Testbed, answers, free_port, run_profile_id, until

GAP = 0.25  # seconds between two triggers on average; a cycle has ended by then
WARM = 5


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds of each trigger, sorted."""

    in_process: list[float]
    rest: list[float]


def percentile(values: list[float], share: float) -> float:
    """Return the percentile ``share`` of sorted ``values``."""
    return values[min(len(values) - 1, int(share * len(values)))]


def measure(testbed: Testbed, *, triggers: int) -> Result:
    """Trigger cycles in process and over REST. Raises RuntimeError if one is lost."""
    port = free_port()
    testbed.manage("user", "create", "bench", "--role", "administrator", "--if-missing")
    token = json.loads(
        testbed.manage("token", "create", "bench", "--scopes", "read,operate", "--json")
    )["token"]
    with (
        testbed.running(sys.executable, "manage.py", "cluster"),
        testbed.running(
            sys.executable,
            "manage.py",
            "web",
            environment={**testbed.environment, "PORT": str(port)},
        ),
    ):
        until(
            lambda: answers(port, "/ready?cluster=1"),
            "the web server and the cluster are ready",
            seconds=60,
            every=0.5,
        )
        return Result(
            in_process=_in_process(testbed, triggers),
            rest=_over_rest(testbed, triggers, port, token),
        )


def _in_process(testbed: Testbed, triggers: int) -> list[float]:
    testbed.sink("POST", "/reset")
    command = [sys.executable, "-m", "benchmarks.starts", str(WARM + triggers), str(GAP)]
    done = subprocess.run(
        command,
        cwd=testbed.project,
        env=testbed.environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return _delays(testbed, json.loads(done.stdout))


def _over_rest(testbed: Testbed, triggers: int, port: int, token: str) -> list[float]:
    testbed.sink("POST", "/reset")
    started = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for number in range(WARM + triggers):
        time.sleep(GAP * random.uniform(0.5, 1.5))
        body = json.dumps(
            {"run_profile_id": run_profile_id(number), "payload": json.loads(PAYLOAD)}
        )
        before = time.time()
        connection.request("POST", "/cycles/trigger", body, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status != 202:
            raise RuntimeError(f"A trigger was answered {answer.status}: {document}")
        started.append((document["cycle_run_id"], before))
    connection.close()
    return _delays(testbed, started)


def _delays(testbed: Testbed, started: list[tuple[str, float]]) -> list[float]:
    measured = started[WARM:]
    until(
        lambda: len(testbed.sink("GET", "/stats")["first"]) == len(started),
        "every trigger's first delivery arrives",
        seconds=30,
    )
    first = testbed.sink("GET", "/stats")["first"]
    return sorted((first[cycle] - before) * 1000 for cycle, before in measured)
