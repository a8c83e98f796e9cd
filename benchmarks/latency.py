"""From a trigger to the first POST at the sink, on a system that has nothing else to do: by a call in process, and over REST.

The clock starts just before the trigger is called and stops when the first request that names the cycle has arrived.
"""

import http.client
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.baseline import PAYLOAD
from benchmarks.place import Place, free_port, run_profile_id, until

GAP = 0.25  # seconds between two triggers on average: a cycle is over by then
WARM = 5


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds of each trigger, sorted."""

    in_process: list[float]
    rest: list[float]


def percentile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of the sorted ``values`` don't exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def measure(place: Place, *, triggers: int) -> Result:
    """Trigger ``triggers`` cycles by each door. Raises RuntimeError where one didn't arrive."""
    port = free_port()
    place.manage("user", "create", "bench", "--role", "administrator", "--if-missing")
    token = json.loads(
        place.manage("token", "create", "bench", "--scopes", "read,operate", "--json")
    )["token"]
    with (
        place.running(sys.executable, "manage.py", "cluster"),
        place.running(
            sys.executable, "manage.py", "web", environment={**place.environment, "PORT": str(port)}
        ),
    ):
        until(
            lambda: _ready(port), "the web server and the cluster are ready", seconds=60, every=0.5
        )
        return Result(
            in_process=_in_process(place, triggers), rest=_over_rest(place, triggers, port, token)
        )


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/ready?cluster=1")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _in_process(place: Place, triggers: int) -> list[float]:
    place.sink("POST", "/reset")
    command = [sys.executable, "-m", "benchmarks.starts", str(WARM + triggers), str(GAP)]
    done = subprocess.run(
        command,
        cwd=place.project,
        env=place.environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return _delays(place, json.loads(done.stdout))


def _over_rest(place: Place, triggers: int, port: int, token: str) -> list[float]:
    place.sink("POST", "/reset")
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
        said = json.loads(answer.read())
        if answer.status != 202:
            raise RuntimeError(f"A trigger was answered {answer.status}: {said}")
        started.append((said["cycle_run_id"], before))
    connection.close()
    return _delays(place, started)


def _delays(place: Place, started: list[tuple[str, float]]) -> list[float]:
    measured = started[WARM:]
    until(
        lambda: len(place.sink("GET", "/stats")["first"]) == len(started),
        "every trigger's first delivery arrives",
        seconds=30,
    )
    first = place.sink("GET", "/stats")["first"]
    return sorted((first[cycle] - before) * 1000 for cycle, before in measured)
