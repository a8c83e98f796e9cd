"""While the database is away, a worker logs one line and fails no task."""

import logging
from pathlib import Path

import pytest
from django.db import connections

from orbit import tasks


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
