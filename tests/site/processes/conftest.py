"""Folders for tests that start real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import project


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any account may enter; what runs in it is stopped, and it is removed."""
    with project.open_folder() as made:
        yield made
