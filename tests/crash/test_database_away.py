"""While the database is away, a worker logs one line and fails no task."""

import logging
from pathlib import Path

import pytest
from django.db import connections

from orbit import tasks
from orbit.models import CycleRun
from orbit_site.processes.postgres import Server
from tests.support.pipeline import configure_profiles, run_cycle, start_cycle
from tests.support.read_only import read_only


def test_a_run_without_a_database_does_not_fail_its_task_and_logs_one_line(
    committed: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = connections["default"].settings_dict["HOST"]
    connections["default"].close()
    connections["default"].settings_dict["HOST"] = str(tmp_path)
    try:
        with caplog.at_level(logging.WARNING, "orbit"):
            for _ in range(5):
                tasks.advance()
    finally:
        connections["default"].close()
        connections["default"].settings_dict["HOST"] = host
    [record] = caplog.records
    assert "\n" not in record.getMessage()
    tasks.advance()


def test_a_run_on_a_read_only_server_does_not_fail_its_task_and_its_cycle_waits(
    committed: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    configure_profiles()
    cycle = start_cycle()
    with read_only(server, committed):
        tasks.advance()
    assert "read-only" in caplog.text
    assert CycleRun.objects.get(pk=cycle).status == "pending"
    assert run_cycle(cycle).finished_at
