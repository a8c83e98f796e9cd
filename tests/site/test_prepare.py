import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import prepare
from tests.support import project


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "prepare.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A copy of the project whose environment looks installed."""
    project.copy(tmp_path / 'it\'s "mine"')
    folder = tmp_path / 'it\'s "mine"'
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / ".venv" / "pyvenv.cfg").write_text("version = 3.12.1\n")
    stamp = {
        "requirements-dev.txt": hashlib.sha256(
            (folder / "requirements-dev.txt").read_bytes()
        ).hexdigest()
    }
    (folder / ".venv" / prepare.STAMP.name).write_text(json.dumps(stamp))
    return folder


@pytest.mark.parametrize("arguments", [[], ["--dev"]])
def test_nothing_is_done_while_the_lists_of_packages_are_the_same(
    prepared: Path, arguments: list[str]
) -> None:
    done = run(prepared, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_environment_of_another_python_is_not_used(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "ENVIRONMENT", prepared / ".venv")
    assert prepare.usable_environment() is True
    for version, usable in (
        ("3.10.9", False),
        ("3.11.0", True),
        ("3.14.2", True),
        ("3.15.0", False),
    ):
        (prepared / ".venv" / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")
        assert prepare.usable_environment() is usable, version
    (prepared / ".venv" / "bin" / "python").unlink()
    assert prepare.usable_environment() is False


def test_an_unsuitable_python_is_told_which_ones_suit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert prepare.main() == 2
    assert "Python 3.11 to 3.14 is needed" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(prepared: Path) -> None:
    (prepared / ".venv" / prepare.STAMP.name).unlink()
    prepared.chmod(0o500)
    try:
        done = run(prepared)
    finally:
        prepared.chmod(0o700)
    assert done.returncode == 2
    assert "make it writable" in done.stderr


@pytest.mark.parametrize("stamp", ["", "{", "[]", None])
def test_an_installation_that_was_cut_off_begins_anew(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, stamp: str | None
) -> None:
    environment = prepared / ".venv"
    path = environment / prepare.STAMP.name
    path.unlink()
    if stamp is not None:
        path.write_text(stamp)
    steps = []
    monkeypatch.setattr(prepare, "PROJECT", prepared)
    monkeypatch.setattr(prepare, "ENVIRONMENT", environment)
    monkeypatch.setattr(prepare, "STAMP", path)
    monkeypatch.setattr(prepare, "make_environment", lambda: steps.append("new"))
    monkeypatch.setattr(prepare, "install", steps.append)
    prepare.prepare("requirements.txt")
    prepare.prepare("requirements.txt")
    assert steps == ["new", "requirements.txt"]


def test_a_killed_upgrade_of_the_packages_is_not_taken_for_a_whole_one(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prepared / ".venv" / prepare.STAMP.name
    path.write_text('{"requirements.txt": "older"}')
    monkeypatch.setattr(prepare, "PROJECT", prepared)
    monkeypatch.setattr(prepare, "ENVIRONMENT", prepared / ".venv")
    monkeypatch.setattr(prepare, "STAMP", path)

    def install(requirements: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "install", install)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare("requirements.txt")
    assert prepare.installed() == {}


def test_a_disk_without_room_is_named(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PROJECT", prepared)
    assert prepare.too_full() == ""
    monkeypatch.setattr(prepare, "NEEDED_MB", 10**9)
    assert "1000000000 are needed" in prepare.too_full()


def test_uv_is_pinned_and_each_of_its_files_has_a_hash() -> None:
    first, *hashes = prepare.pinned_uv()
    assert first.startswith("uv==")
    assert len(hashes) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_make_says_it_when_the_python_is_not_there() -> None:
    done = subprocess.run(
        ["make", "run", "PYTHON=python9"],
        cwd=project.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert '"python9" is not found. Install Python 3.11 to 3.14' in done.stderr


def test_variables_that_lead_an_installation_elsewhere_are_not_passed_on(prepared: Path) -> None:
    (prepared / ".venv" / prepare.STAMP.name).write_text('{"requirements.txt": "older"}')
    python = prepared / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text('#!/bin/sh\nenv >> "$(dirname "$0")/seen"\n')
    python.chmod(0o755)
    misleading = {name: "/elsewhere" for name in prepare.MISLEADING if "PYTHON" not in name}
    done = subprocess.run(
        [sys.executable, str(prepared / "prepare.py")],
        env={**os.environ, **misleading, "PIP_INDEX_URL": "https://mirror.example.com/simple"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = (python.parent / "seen").read_text()
    assert "PIP_INDEX_URL=https://mirror.example.com/simple" in seen
    assert "/elsewhere" not in seen
