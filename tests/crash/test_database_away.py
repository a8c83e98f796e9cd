"""What is said and done while the database can't be had: little is said, nothing ends, and all goes on when it is back."""

import logging
from pathlib import Path

import pytest
from django.db import connections

from orbit import tasks
from orbit.cycles import runner


def test_a_shift_without_a_database_is_no_failure_of_its_task_and_is_told_once_in_one_line(
    committed: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_complained", float("-inf"))
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
