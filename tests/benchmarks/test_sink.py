"""The receiver of the benchmark's deliveries."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.sink import TOKEN
from tests.support.database import PROJECT


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as sink:
        assert sink.stdout is not None
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(sink.stdout.readline()), timeout=10
        )
        yield connection
        connection.close()
        sink.terminate()


def post(
    connection: http.client.HTTPConnection,
    key: str,
    *,
    token: str = TOKEN,
    cycle: str = "c1",
    body: bytes = b"x" * 1000,
) -> int:
    connection.request(
        "POST",
        "/deliver",
        body,
        {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "X-Orbit-Cycle": cycle},
    )
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_it_counts_deliveries_and_tells_repeated_keys_and_wrong_tokens_apart(
    connection: http.client.HTTPConnection,
) -> None:
    assert [
        post(connection, "a"),
        post(connection, "b", cycle="c2"),
        post(connection, "a"),
        post(connection, "d", token="no"),
    ] == [200, 200, 200, 401]
    connection.request("GET", "/stats")
    stats = json.loads(connection.getresponse().read())
    assert sorted(stats.pop("first")) == ["c1", "c2"]
    assert stats == {"requests": 3, "keys": 2, "doubled": 1, "denied": 1, "bytes": 3000}
    connection.request("POST", "/reset")
    assert json.loads(connection.getresponse().read())["requests"] == 0
