"""Triggers over REST, one by one and in batches, beside the commits of a bare row.

``python -m benchmarks.triggers PID`` starts a web server of two processes on the environment's
database, whose PostgreSQL has that process id; no cluster runs. It prints JSON.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import django
import psycopg

from benchmarks import meters
from benchmarks.baseline import PAYLOAD
from benchmarks.testbed import Testbed, answers, end, free_port, until

SINGLE, BATCHES, BATCH, CLIENTS = 2_000, 4, 500, 8
GOAL_PER_SECOND = 250
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Way:
    """Triggers by one way: how many a second, and milliseconds of CPU time for each."""

    name: str
    per_second: float
    web: float
    database: float


def measure(testbed: Testbed) -> list[Way]:
    """Measure on a copy of the configured database."""
    testbed.clone("triggers")
    done = testbed.measured("triggers", str(testbed.server_pid), database="triggers")
    return [Way(**each) for each in done]


def lines(ways: Sequence[Way]) -> list[str]:
    """Return the result as lines of a table; the last way is the baseline."""
    *ours, bare = ways
    return [
        "",
        f"Triggers over REST, {CLIENTS} clients, two web processes, 1 KB each",
        *(
            f"{way.name:<22}{way.per_second:>8.0f}/s{way.web:>8.2f} ms CPU in the web server"
            f"{way.database:>8.2f} ms in PostgreSQL   {way.per_second / bare.per_second:.2f} of "
            f"the bare rows{_verdict(way)}"
            for way in ours
        ),
        f"{bare.name:<22}{bare.per_second:>8.0f}/s",
    ]


def _verdict(way: Way) -> str:
    if way.name != "one by one":
        return ""
    return f"   ({'goal met' if way.per_second >= GOAL_PER_SECOND else 'GOAL MISSED'}: 250/s)"


def main() -> None:
    server = int(sys.argv[1])
    django.setup()
    from governance.access import tokens
    from governance.access.actors import SYSTEM
    from governance.access.roles import Scope
    from governance.namespaces import registry
    from tests.support.callers import create_user

    _, token = tokens.create(create_user("triggers"), scopes=[Scope.OPERATE], actor=SYSTEM)
    names = [f"t{number:05}" for number in range(SINGLE + BATCHES * BATCH + SINGLE)]
    registry.ensure(names)
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, "manage.py", "web"],
        env={
            **os.environ,
            "PORT": str(port),
            "ORBIT_WEB_WORKERS": "2",
            "ORBIT_RATE_LIMIT": "1000000",
        },
        stdout=sys.stderr,
    )
    try:
        until(lambda: answers(port, "/health"), "the web server answers", seconds=120)
        bodies = [_trigger(name) for name in names]
        single, batched = bodies[:SINGLE], bodies[SINGLE : SINGLE + BATCHES * BATCH]
        rest = names[SINGLE + BATCHES * BATCH :]
        batches = [
            b'{"triggers": [' + b",".join(batched[at : at + BATCH]) + b"]}"
            for at in range(0, len(batched), BATCH)
        ]
        send = _Client(port, token)
        ways = [
            _measured("one by one", web.pid, server, SINGLE, lambda: send.all("", single)),
            _measured(
                f"in batches of {BATCH}",
                web.pid,
                server,
                len(batched),
                lambda: send.all("/batch", batches),
            ),
            _measured("bare rows", web.pid, server, SINGLE, lambda: _bare(rest)),
        ]
    finally:
        end(web)
    print(json.dumps(ways))


def _trigger(name: str) -> bytes:
    return b'{"namespace": "' + name.encode() + b'", "payload": ' + PAYLOAD + b"}"


def _measured(
    name: str, web: int, server: int, count: int, act: Callable[[], object]
) -> dict[str, Any]:
    before = [meters.cpu_seconds(pid) for pid in (web, server)]
    began = time.monotonic()
    act()
    seconds = time.monotonic() - began
    after = [meters.cpu_seconds(pid) for pid in (web, server)]
    cpu = [1000 * (late - early) / count for late, early in zip(after, before, strict=True)]
    return {"name": name, "per_second": count / seconds, "web": cpu[0], "database": cpu[1]}


class _Client:
    """Sends requests over a few connections at once."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._headers = port, {**HEADERS, "Authorization": f"Bearer {token}"}

    def all(self, path: str, bodies: Sequence[bytes]) -> None:
        """Send each of ``bodies`` to the trigger. Raises RuntimeError if one is refused."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(
                pool.map(
                    self._some, [path] * CLIENTS, (bodies[at::CLIENTS] for at in range(CLIENTS))
                )
            )

    def _some(self, path: str, bodies: Sequence[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for body in bodies:
            connection.request("POST", f"/cycles/trigger{path}", body, self._headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 202 or text.count(b'"cycle_run_id"') != max(
                1, body.count(b'"namespace"')
            ):
                raise RuntimeError(f"A trigger was answered {answer.status}: {text[:500]!r}")
        connection.close()


def _bare(names: Sequence[str]) -> None:
    """Commit a row for each name, by hand, from two threads."""

    def some(mine: Sequence[str]) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            for name in mine:
                connection.execute(
                    "INSERT INTO orbit_cyclerun (id, namespace, status, trigger, triggered_by, "
                    "input, input_content_type, input_sha256, initiation_hash, context, "
                    "next_due_at) VALUES (gen_random_uuid(), %s, 'pending', "
                    "'rest', 'bench', %s, 'application/json', repeat('0', 64), repeat('0', 64), "
                    "'{}', now())",
                    [name, PAYLOAD],
                )
                connection.commit()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some, (names[at::2] for at in range(2))))


if __name__ == "__main__":
    main()
