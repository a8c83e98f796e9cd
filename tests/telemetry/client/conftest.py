from pathlib import Path

import pytest

from tests.support.scripts import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose scripts have no Orbit to send to."""
    return Repository(tmp_path)
