"""Autonomy that is on, with a folder for its policies."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., None]


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.ORBIT_PHASE4_ENABLED = settings.ORBIT_PHASE4_ALLOW_MUTATION = True
    settings.ORBIT_CONFIG_DIR = tmp_path
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write the policies."""

    def write(*policies: dict[str, Any]) -> None:
        (folder / "autonomy.json").write_text(json.dumps(policies))

    return write
