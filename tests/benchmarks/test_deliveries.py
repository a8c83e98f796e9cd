"""The benchmark of deliveries: baseline and hostile receiver."""

import gzip
import http.client
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from benchmarks import delivery_baseline, hostile
from orbit.outbound import client
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.project import PROJECT


@contextmanager
def listening(module: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    name = f"orbit_courier_{os.getpid()}"
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER orbit_app").format(sql.Identifier(name))
        )
        yield server.url("orbit_app", name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.processes
def test_the_courier_delivers_each_job_once_and_writes_a_receipt_for_each(dsn: str) -> None:
    delivery_baseline.fill(dsn, payload=b'{"a": 1}', items=50, endpoints=4)
    with listening("benchmarks.sink") as port:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.delivery_baseline", dsn, f"http://127.0.0.1:{port}"],
            cwd=PROJECT,
            input="go\n\n",
            text=True,
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.split() == ["ready", "done"], done.stderr
        client_ = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client_.request("GET", "/stats")
        stats = json.loads(client_.getresponse().read())
        client_.close()
    assert (stats["requests"], stats["keys"], stats["denied"], stats["doubled"]) == (200, 200, 0, 0)
    with psycopg.connect(dsn) as connection:
        assert connection.execute(
            "SELECT status, attempts, count(*) FROM letter GROUP BY 1, 2"
        ).fetchall() == [("delivered", 1, 200)]
        assert connection.execute(
            "SELECT status, status_code, count(*) FROM letter_receipt GROUP BY 1, 2"
        ).fetchall() == [("delivered", 200, 200)]
        begin, end, delivered = connection.execute(delivery_baseline.SPAN).fetchone()  # type: ignore[misc]
    assert begin < end
    assert delivered == 200


def test_the_bomb_is_small_and_grows_a_thousandfold() -> None:
    packed = hostile.bomb(3)
    assert len(packed) < 10_000
    assert len(gzip.decompress(packed)) == 3_000_000
    assert zlib.crc32(gzip.decompress(packed)) == zlib.crc32(bytes(3_000_000))


@pytest.mark.processes
def test_what_the_hostile_receiver_answers_is_a_success_with_a_body_that_has_no_end() -> None:
    with listening("benchmarks.hostile") as port:
        for path in ("endless", "bomb", "drip"):
            answer = client.send(
                client.Request(
                    "POST", f"http://127.0.0.1:{port}/{path}", {}, b"x", 1, 1, 0.5, None
                ),
                allowed=["127.0.0.1"],
            )
            assert (answer.status, answer.body) == (200, None), path
