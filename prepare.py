#!/usr/bin/env python3
"""Creates ``.venv`` with the pinned packages: ``python3 prepare.py [--dev]``.

It runs before every command of the Makefile, on any Python from 3.7 without packages, so that an
old one gets a message.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: These move an installation to another place, make it a trial, or break Python itself.
MISLEADING = {
    *("PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_PYTHON"),
    *("UV_TARGET", "UV_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON"),
    *("PYTHONHOME", "PYTHONPATH", "PYTHONOPTIMIZE", "VIRTUAL_ENV"),
}
OLDEST, TOO_NEW = (3, 11), (3, 15)
PROJECT = Path(__file__).resolve().parent
ENVIRONMENT = PROJECT / ".venv"
STAMP = ENVIRONMENT / "orbit-packages.json"
NEEDED_MB = 500


def main() -> int:
    """Prepare ``.venv``; return 0, or 2 after a message."""
    for name in MISLEADING & set(os.environ):
        del os.environ[name]
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        return refuse(
            f"Python 3.11 to 3.14 is needed; this is {sys.version.split()[0]} ({sys.executable}). "
            "Name another: make PYTHON=python3.12 ..."
        )
    try:
        with PROJECT.joinpath("requirements.txt").open(encoding="utf-8") as lock:
            # Two at once would install into each other.
            fcntl.flock(lock, fcntl.LOCK_EX)
            prepare("requirements-dev.txt" if "--dev" in sys.argv[1:] else "requirements.txt")
    except OSError as error:
        return refuse(
            f"Can't prepare {ENVIRONMENT}: {error.strerror} ({error.filename}). "
            + (too_full() or "Run as the owner of the folder, or make it writable.")
        )
    except subprocess.CalledProcessError as error:
        return refuse(
            f"`{' '.join(map(str, error.cmd))}` failed ({error.returncode}); see its output above. "
            + (too_full() or "Nothing else was changed; run it again.")
        )
    return 0


def prepare(requirements: str) -> None:
    """Install ``requirements`` unless they are installed."""
    before = installed() if usable_environment() else {}
    if "requirements-dev.txt" in before:
        # It contains requirements.txt. `make run` must not leave old tools behind.
        requirements = "requirements-dev.txt"
    now = {requirements: hashlib.sha256((PROJECT / requirements).read_bytes()).hexdigest()}
    if before == now:
        return
    if not os.access(PROJECT, os.W_OK):
        raise PermissionError(errno.EACCES, "Permission denied", str(PROJECT))
    if not before:
        make_environment()
    # An installation that is killed half-way may leave packages that only look installed.
    STAMP.unlink(missing_ok=True)
    install(requirements)
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps(now), encoding="utf-8")
    fresh.replace(STAMP)


def installed() -> dict[str, str]:
    """Return what was installed whole, and its hash; nothing if that isn't known."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def too_full() -> str:
    """Return what to do about a full disk, "" if there is room."""
    free = shutil.disk_usage(PROJECT).free // 1_000_000
    return f"The disk has {free} MB left and {NEEDED_MB} are needed." if free < NEEDED_MB else ""


def python() -> Path:
    """Return the interpreter in ``.venv``."""
    return ENVIRONMENT / "bin" / "python"


def usable_environment() -> bool:
    """Tell whether the Python in ``.venv`` is a supported one."""
    if not python().exists():
        return False
    # Read the file, don't start Python: this runs before every command.
    lines = (
        (ENVIRONMENT / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        if (ENVIRONMENT / "pyvenv.cfg").exists()
        else []
    )
    versions = [
        line.split("=")[1].strip().split(".")[:2]
        for line in lines
        if line.split("=")[0].strip() in ("version", "version_info")
    ]
    return any(OLDEST <= (int(major), int(minor)) < TOO_NEW for major, minor in versions)


def make_environment() -> None:
    """Replace ``.venv`` by an empty one."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    except subprocess.CalledProcessError:
        say("if it says that ensurepip is missing: apt-get install python3-venv")
        raise


def install(requirements: str) -> None:
    """Install ``requirements`` with checked hashes."""
    began = os.times().elapsed
    pip = [str(python()), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    try:
        install_uv(pip)
        say(f"installing {requirements}")
        uv = [
            str(python()),
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--python",
            str(python()),
        ]
        subprocess.run([*uv, "-r", str(PROJECT / requirements)], check=True)
    except subprocess.CalledProcessError:
        # uv doesn't read pip's configuration, such as a mirror or a proxy's certificate.
        say(f"installing {requirements} with pip instead")
        subprocess.run(
            [*pip, "install", "--require-hashes", "-r", str(PROJECT / requirements)], check=True
        )
    say(f"packages are installed ({os.times().elapsed - began:.0f} s)")


def install_uv(pip: list[str]) -> None:
    """Install the pinned uv with pip."""
    if shutil.which("uv", path=str(python().parent)):
        return
    say("installing uv")
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "uv.txt"
        only.write_text("\n".join([*pinned_uv(), ""]), encoding="utf-8")
        subprocess.run([*pip, "install", "--require-hashes", "-r", str(only)], check=True)


def pinned_uv() -> list[str]:
    """Return the lines about uv in requirements-dev.txt."""
    lines = (PROJECT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = next(
        (number for number in range(start + 1, len(lines)) if not lines[number].startswith(" ")),
        len(lines),
    )
    return [line for line in lines[start:end] if not line.strip().startswith("#")]


def say(text: str) -> None:
    """Print progress to stderr: stdout belongs to the next command."""
    sys.stderr.write(f"setup       {text}\n")


def refuse(text: str) -> int:
    """Print why it fails; return the exit code."""
    sys.stderr.write(f"orbit: {text}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
