"""Several processes count at once, and some of them are killed."""

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from orbit.models import CycleDay
from orbit.rollup import counts
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]

CYCLES, STEP = 20_000, 50
COPY = """
INSERT INTO orbit_cyclerun
SELECT (jsonb_populate_record(c, jsonb_build_object(
    'id', gen_random_uuid(), 'status', 'failed', 'finished_at', now() - n * interval '30 s'))).*
FROM orbit_cyclerun c, generate_series(10, %s + 9) AS n
RETURNING 1
"""
COUNT = f"""
import django
django.setup()
from orbit.rollup import counts
text = counts.ADVANCE.text.replace("LIMIT {counts.MOST}", "LIMIT {STEP}")
counts.ADVANCE = type(counts.ADVANCE)("advance", text, counts.ADVANCE.params)
print("ready", flush=True)
while True:
    counts.refresh()
"""


def start(server: Server, name: str) -> "subprocess.Popen[str]":
    variables = {
        **os.environ,
        **database.environment(server, name),
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
    }
    command = [sys.executable, "-c", COUNT]
    return subprocess.Popen(command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, text=True)


def counted() -> int:
    return sum(CycleDay.objects.values_list("failed", flat=True))


def test_killed_processes_lose_nothing_and_count_nothing_twice(
    server: Server, committed: str, settings: Any
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    counts.refresh()
    create_dead_letters(1)
    rows(COPY, CYCLES)
    rows(
        "UPDATE orbit_cyclerun SET finished_at = now() - interval '15 days'"
        " WHERE finished_at > now() - interval '4 minutes' RETURNING 1"
    )
    processes = [start(server, committed) for _ in range(3)]
    try:
        for victim in processes[:2]:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "ready\n"
            before = counted()
            while before < CYCLES and counted() == before:
                time.sleep(0.01)
            victim.kill()
            victim.wait()
            total = sum(sum(row[2:]) for row in counts.PER_DAY.rows(scope=None))
            assert total == CYCLES  # marks and sums are one commit
        until(lambda: counted() == CYCLES, "not all cycles are counted", seconds=300, every=0.1)
        time.sleep(0.3)
        assert counted() == CYCLES
    finally:
        for process in processes:
            process.kill()
            process.wait()
