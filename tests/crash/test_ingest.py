"""``telemetry ingest`` is killed in the middle; run again, each event is there once."""

import io
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.database import PROJECT
from tests.support.events import event, ndjson
from tests.support.polling import until
from tests.support.telemetry import rows

pytestmark = pytest.mark.processes
EVENTS = 24_000


def command(server: Server, name: str, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "telemetry", "ingest", *words],
        cwd=PROJECT,
        env={**os.environ, **database.environment(server, name)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def count(table: str) -> int:
    return int(rows(f"SELECT count(*) FROM {table} WHERE session_id = 's1'")[0][0])


def test_a_killed_ingest_is_finished_by_running_it_again(
    server: Server, committed: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    metric = {"name": "m", "value": 1}
    events = [event("metric", metadata=metric) for _ in range(EVENTS)]
    file.write_bytes(ndjson(events))
    killed = command(server, committed, str(file))
    try:
        until(lambda: count("telemetry_telemetryevent") > 0, "nothing was stored", seconds=60)
    finally:
        killed.kill()
        killed.communicate()
    before = count("telemetry_telemetryevent")
    assert before == count("telemetry_metric")

    again = command(server, committed, str(file), "--json")
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    report = json.loads(stdout)
    assert report["accepted"] + report["duplicate"] == EVENTS
    assert report["duplicate"] >= before
    assert count("telemetry_telemetryevent") == count("telemetry_metric") == EVENTS


def is_stored(events: int) -> bool:
    return count("telemetry_telemetryevent") == events


def test_a_slow_pipe_is_stored_as_it_comes_and_sigterm_ends_the_task(
    server: Server, committed: str
) -> None:
    running = command(server, committed, "-", stdin=subprocess.PIPE)
    assert isinstance(running.stdin, io.BufferedIOBase)
    for expected in (2, 3, 6_003):
        stored = count("telemetry_telemetryevent")
        running.stdin.write(ndjson([event() for _ in range(expected - stored)]))
        running.stdin.flush()
        until(partial(is_stored, expected), "it wasn't stored", seconds=60)
    running.send_signal(signal.SIGTERM)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM, stderr
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr
    ended = rows(
        "SELECT metadata ->> 'success' FROM telemetry_telemetryevent"
        " WHERE name = 'task_end' AND session_id LIKE 'orbit-ingest-%%'"
    )
    assert ended == [("false",)]


def test_a_table_that_is_gone_is_one_error_and_one_decision(
    server: Server, committed: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson([event() for _ in range(50)]))
    name = database.second(committed) if database.is_separate() else committed
    with psycopg.connect(server.url("orbit_owner", name), autocommit=True) as owner:
        owner.execute("ALTER TABLE telemetry_errorgroup RENAME TO telemetry_errorgroup_gone")
    refused = command(server, committed, str(file))
    stdout, stderr = refused.communicate(timeout=120)
    assert (refused.returncode, stdout) == (7, b"")
    assert stderr.count(b"decision: ") == stderr.count(b"orbit: ") == 1, stderr
    assert b"telemetry_errorgroup" in stderr
    assert b"manage.py migrate" in stderr
    assert count("telemetry_telemetryevent") == 0
