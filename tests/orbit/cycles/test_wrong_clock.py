"""A trigger from a host whose clock is wrong is a cycle like any other."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.pipeline import configure_endpoints, configure_profiles, rows, run_cycle
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
DAY = 86400
AGE = """SELECT extract(epoch FROM now())
    - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
FROM orbit_cyclerun WHERE id = %s"""


@pytest.mark.parametrize(
    "ahead", [400 * DAY, -70 * DAY, 60 - int(time.time())], ids=["ahead", "behind", "1970"]
)
def test_a_cycle_of_a_host_with_a_wrong_clock_ends(
    server: Server, committed: str, settings: Any, tmp_path: Path, ahead: int
) -> None:
    file = tmp_path / "ahead"
    file.write_text(str(ahead))
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        command = "tests.support.wrong_clock", str(file), "trigger", "--run-profile", "r1", "--json"
        answer = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=database.PROJECT,
            env={**os.environ, **database.environment(server, committed)},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        cycle = run_cycle(json.loads(answer.stdout)["cycle_run_id"])
    assert (cycle.status, cycle.resumes) == ("success", 0)
    ((age,),) = rows(AGE, cycle.id)
    assert abs(age) < DAY
