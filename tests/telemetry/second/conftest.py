"""Tests of a second database: run them with ``-p tests.support.two_databases``."""

from pathlib import Path

import pytest

from tests.support import database

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not database.is_separate():
        needed = pytest.mark.skip(reason="needs a second database")
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(needed)
