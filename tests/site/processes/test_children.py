import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orbit_site.processes import children
from orbit_site.processes.children import ChildProcess, drain
from tests.support import processes
from tests.support.polling import until

PROJECT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.processes


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_an_ended_child_is_reported_once_and_restarted_after_a_growing_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(children, "FIRST_WAIT_SECONDS", 0.1)
    child = ChildProcess("short", python("raise SystemExit(7)"), os.environ)
    deaths: list[float] = []
    codes = set()

    def ended_three_times() -> bool:
        code = child.check()
        if code is not None:
            codes.add(code)
            deaths.append(time.monotonic())
        return len(deaths) == 3

    until(ended_three_times)
    assert codes == {7}
    assert deaths[1] - deaths[0] >= 0.1
    assert deaths[2] - deaths[1] >= 0.2


def test_draining_lets_children_finish_and_kills_what_stays_with_its_descendants(
    tmp_path: Path,
) -> None:
    polite = ChildProcess(
        "polite",
        python(
            "import signal,sys,time,pathlib;"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0));"
            f"pathlib.Path({str(tmp_path / 'polite')!r}).touch(); time.sleep(60)"
        ),
        os.environ,
    )
    stubborn = ChildProcess(
        "stubborn",
        python(
            "import signal,time,subprocess,sys,pathlib;"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
            f"pathlib.Path({str(tmp_path / 'stubborn')!r}).write_text(str(p.pid)); time.sleep(60)"
        ),
        os.environ,
    )
    until(
        lambda: (
            (tmp_path / "polite").exists()
            and (tmp_path / "stubborn").exists()
            and (tmp_path / "stubborn").read_text()
        )
    )
    grandchild = psutil.Process(int((tmp_path / "stubborn").read_text()))
    began = time.monotonic()
    drain([polite, stubborn], seconds=1)
    assert time.monotonic() - began >= 1  # the stubborn one got its time
    assert polite.process.returncode == 0
    assert stubborn.process.returncode == -signal.SIGKILL
    until(lambda: not processes.lives(grandchild), "the grandchild lives on")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_die_with_a_parent_that_was_killed() -> None:
    code = (
        "import os, sys, time; from orbit_site.processes.children import spawn;"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(60)'];"
        "print(spawn(sleep, os.environ).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(python(code), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    until(lambda: not processes.lives(child), "the child lives on")
