"""What is said and done while the database can't be had: little is said, nothing ends, and all goes on when it is back."""

import logging
import signal
import time
from pathlib import Path

import psutil
import pytest
from django.db import connections

from orbit import tasks
from orbit.cycles import shift
from orbit_site.processes import postgres
from tests.support import project


def test_a_shift_without_a_database_is_no_failure_of_its_task_and_is_told_once_in_one_line(
        committed: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "_complained", float("-inf"))
    there = connections["default"].settings_dict["HOST"]
    connections["default"].close()
    connections["default"].settings_dict["HOST"] = str(tmp_path)
    try:
        with caplog.at_level(logging.WARNING, "orbit"):
            for _ in range(5):
                tasks.advance()
    finally:
        connections["default"].close()
        connections["default"].settings_dict["HOST"] = there
    [record] = caplog.records
    assert "\n" not in record.getMessage()
    tasks.advance()


@pytest.mark.slow
@pytest.mark.processes
def test_up_outlives_a_database_that_cannot_be_started_and_starts_it_when_it_can() -> None:
    with project.open_folder() as folder:
        made = project.copy(folder / "orbit")
        up = project.Talking(made.start("up"))
        up.wait_for("running")
        server = postgres.locate(made.var)
        whole = server.data / "global"
        server_process = psutil.Process(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
        whole.rename(whole.with_name("gone"))
        server_process.send_signal(signal.SIGQUIT)
        server_process.wait(20)
        up.wait_for("can't be started again")
        time.sleep(1)
        assert up.process.poll() is None
        whole.with_name("gone").rename(whole)
        up.wait_for("is started again")
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0
