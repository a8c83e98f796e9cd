#!/usr/bin/env python3
"""Creates ``.venv`` with the pinned packages, needing only Python: ``python3 prepare.py [--dev]``.

The Makefile runs it before every command; it takes milliseconds if nothing is to do. It must run on
any Python from 3.7, with the standard library only, so that an old one gets a message.
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

OLDEST, TOO_NEW = (3, 11), (3, 15)
PROJECT = Path(__file__).resolve().parent
ENVIRONMENT = PROJECT / ".venv"
STAMP = ENVIRONMENT / "orbit-packages.json"


def main() -> int:
    """Prepare ``.venv``; return 0, or 2 with a sentence that says what to do."""
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        return refuse(
            f"Python 3.11 to 3.14 is needed; this is {sys.version.split()[0]} ({sys.executable}). "
            "Name another: make PYTHON=python3.12 ..."
        )
    try:
        with PROJECT.joinpath("requirements.txt").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two of these at once would install into each other
            prepare("requirements-dev.txt" if "--dev" in sys.argv[1:] else "requirements.txt")
    except OSError as error:
        return refuse(
            f"Can't prepare {ENVIRONMENT}: {error.strerror} ({error.filename}). "
            "Run as the owner of the folder, or make it writable."
        )
    except subprocess.CalledProcessError as error:
        return refuse(
            f"`{' '.join(map(str, error.cmd))}` failed ({error.returncode}); see its output above. "
            "Nothing else was changed; run it again."
        )
    return 0


def prepare(requirements: str) -> None:
    """Have an environment with what ``requirements`` pins; does nothing when it is there."""
    usable = usable_environment()
    before = json.loads(STAMP.read_text()) if usable and STAMP.exists() else {}
    if "requirements-dev.txt" in before:
        requirements = (
            "requirements-dev.txt"  # it holds the other; `make run` must not leave old tools behind
        )
    now = {requirements: hashlib.sha256((PROJECT / requirements).read_bytes()).hexdigest()}
    if before == now:
        return
    if not os.access(PROJECT, os.W_OK):
        raise PermissionError(errno.EACCES, "Permission denied", str(PROJECT))
    if not usable:
        make_environment()
    install(requirements)
    STAMP.write_text(json.dumps(now))


def python() -> Path:
    """Return the environment's interpreter."""
    return ENVIRONMENT / "bin" / "python"


def usable_environment() -> bool:
    """Whether there is an environment whose Python starts and is one of ours."""
    if not python().exists():
        return False
    # The file is read rather than Python started: this runs before every command.
    lines = (
        (ENVIRONMENT / "pyvenv.cfg").read_text().splitlines()
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
    """Make an empty environment in place of whatever is there."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    except subprocess.CalledProcessError:
        say("if it says that ensurepip is missing: apt-get install python3-venv")
        raise


def install(requirements: str) -> None:
    """Install ``requirements`` with checked hashes: with uv, or with pip if uv can't reach them."""
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
        # uv knows nothing of pip's configuration: a mirror, a proxy's certificate.
        say(f"installing {requirements} with pip instead")
        subprocess.run(
            [*pip, "install", "--require-hashes", "-r", str(PROJECT / requirements)], check=True
        )
    say(f"packages are installed ({os.times().elapsed - began:.0f} s)")


def install_uv(pip: list[str]) -> None:
    """Install the pinned uv with pip, checked against its hashes."""
    if shutil.which("uv", path=str(python().parent)):
        return
    say("installing uv")
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "uv.txt"
        only.write_text("\n".join([*pinned_uv(), ""]))
        subprocess.run([*pip, "install", "--require-hashes", "-r", str(only)], check=True)


def pinned_uv() -> list[str]:
    """Return the lines about uv in the list for developers: its version and the hashes of its files."""
    lines = (PROJECT / "requirements-dev.txt").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = next(
        (number for number in range(start + 1, len(lines)) if not lines[number].startswith(" ")),
        len(lines),
    )
    return [line for line in lines[start:end] if not line.strip().startswith("#")]


def say(text: str) -> None:
    """Tell what is being done; on stderr, since stdout belongs to the command that follows."""
    sys.stderr.write(f"setup       {text}\n")


def refuse(text: str) -> int:
    """Tell why it doesn't work; return the exit code."""
    sys.stderr.write(f"orbit: {text}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
