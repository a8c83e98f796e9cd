"""The workers of docs/conductor.md work as they are written, against a real web process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.conductor import create
from orbit.models import ConductorTask
from tests.support import processes
from tests.support.callers import create_user
from tests.support.faulty_orbit import RESET, SILENT, FaultyOrbit
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = [pytest.mark.processes, pytest.mark.one_database]
TASKS = 4


PYTHON, BASH, CLIENT = "A worker in Python", "A worker in bash", "The official client"
BUSY = (503, {"Retry-After": "1"}, b"")
GATEWAY = (502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>")


class Page:
    """The workers of the page, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "orbit_worker").symlink_to(PROJECT / "orbit_worker")

    @contextmanager
    def at_work(self, heading: str, variables: dict[str, str]) -> Iterator[None]:
        """Let the worker under ``heading`` work; kill it at the end."""
        script = self._folder / heading.split()[-1]
        script.write_text(_code(heading))
        command = "bash" if heading == BASH else sys.executable
        worker = subprocess.Popen(
            [command, str(script)], env=variables, cwd=self._folder, start_new_session=True
        )
        try:
            yield
        finally:
            processes.kill_group(worker.pid, signal.SIGKILL)
            worker.wait(60)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


@pytest.fixture
def token(committed: str) -> str:
    return tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]


@pytest.mark.parametrize("heading", [PYTHON, BASH, CLIENT])
def test_a_worker_of_the_page_works(orbit: dict[str, str], page: Page, heading: str) -> None:
    with page.at_work(heading, orbit):
        # By now, or soon, the worker waits for work; both must do.
        hand_in(TASKS)
        until_all_are_done()
    outputs = ConductorTask.objects.order_by("index").values_list("output", flat=True)
    assert list(outputs) == [{"square": i * i} for i in range(TASKS)]
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


def test_they_go_on_when_orbit_was_away(token: str, page: Page) -> None:
    hand_in(30)
    faults = {"claim": [BUSY, RESET, GATEWAY, BUSY], "complete": [BUSY, BUSY, GATEWAY]}
    with FaultyOrbit(**faults) as orbit:
        variables = variables_for(orbit, token)
        with (
            page.at_work(PYTHON, variables),
            page.at_work(BASH, variables),
            page.at_work(CLIENT, variables),
        ):
            until_all_are_done()
        assert orbit.faults == {"claim": [], "complete": []}
    assert set(ConductorTask.objects.values_list("attempt", flat=True)) == {1}


@pytest.mark.parametrize(("killed", "other"), [(PYTHON, BASH), (BASH, PYTHON)])
def test_the_task_of_one_that_is_killed_goes_to_another(
    token: str, page: Page, killed: str, other: str
) -> None:
    hand_in(1)
    with FaultyOrbit(complete=[SILENT]) as orbit:
        variables = variables_for(orbit, token)
        with page.at_work(killed, variables):
            until(lambda: not orbit.faults["complete"], "it completes nothing")
        # As time does, in a minute.
        ConductorTask.objects.update(lease_expires_at="2026-01-31T06:00:00Z")
        with page.at_work(other, variables):
            until_all_are_done()
    task = ConductorTask.objects.get()
    assert (task.output, task.attempt) == ({"square": 0}, 2)


def hand_in(number: int) -> None:
    tasks = [{"name": f"t{i}", "input": {"index": i}} for i in range(number)]
    create.create({"name": "squares", "tasks": tasks}, actor=SYSTEM)


def until_all_are_done() -> None:
    open_ones = ConductorTask.objects.exclude(state="SUCCEEDED")
    until(lambda: not open_ones.exists(), "the tasks haven't all ended", seconds=60)


def variables_for(orbit: FaultyOrbit, token: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "ORBIT_URL": orbit.url, "ORBIT_TOKEN": token}


def _code(heading: str) -> str:
    page = (PROJECT / "docs" / "conductor.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```(?:python|bash)\n(.*?)```", section, re.DOTALL)
    return str(code)
