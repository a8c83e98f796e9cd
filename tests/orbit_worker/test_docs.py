"""The workers of docs/conductor.md work as they are written, against a real web process."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from governance.access.actors import SYSTEM
from orbit.conductor import create
from orbit.models import ConductorTask
from tests.support import processes
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = [pytest.mark.processes, pytest.mark.one_database]
TASKS = 4


@pytest.mark.parametrize(
    ("heading", "command"),
    [
        ("A worker in Python", [sys.executable]),
        ("A worker in bash", ["bash"]),
        ("The official client", [sys.executable]),
    ],
)
def test_a_worker_of_the_page_works(
    orbit: dict[str, str], tmp_path: Path, heading: str, command: list[str]
) -> None:
    (tmp_path / "orbit_worker").symlink_to(PROJECT / "orbit_worker")
    script = tmp_path / "worker"
    script.write_text(_code(heading))
    worker = subprocess.Popen(
        [*command, str(script)], env=orbit, cwd=tmp_path, start_new_session=True
    )
    try:
        tasks = [{"name": f"t{i}", "input": {"index": i}} for i in range(TASKS)]
        # By now, or soon, the worker waits for work; both must do.
        create.create({"name": "squares", "tasks": tasks}, actor=SYSTEM)
        until(
            lambda: ConductorTask.objects.filter(state="SUCCEEDED").count() == TASKS,
            "the tasks haven't all ended",
            seconds=60,
        )
    finally:
        processes.kill_group(worker.pid, signal.SIGKILL)
        worker.wait(60)
    outputs = ConductorTask.objects.order_by("index").values_list("output", flat=True)
    assert list(outputs) == [{"square": i * i} for i in range(TASKS)]
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


def _code(heading: str) -> str:
    page = (PROJECT / "docs" / "conductor.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```(?:python|bash)\n(.*?)```", section, re.DOTALL)
    return str(code)
