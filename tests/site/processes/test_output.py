"""Commands whose output has no reader, or can't be written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import PROJECT

pytestmark = pytest.mark.processes
CLOSED = 128 + signal.SIGPIPE
UNBUFFERED = [["cycles"], ["audit", "export", "-"]]
BUFFERED = [
    *UNBUFFERED,
    ["cycles", "--json"],
    ["audit", "verify"],
    ["config", "diff"],
    ["help"],
    ["cycles", "--help"],
]
CASES = [*((words, "") for words in BUFFERED), *((words, "1") for words in UNBUFFERED)]


def run(words: list[str], environment: dict[str, str], output: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(("words", "unbuffered"), CASES)
def test_a_reader_that_closes_the_pipe_ends_a_command_quietly(
    web_database: dict[str, str], words: list[str], unbuffered: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        environment = {**web_database, "PYTHONUNBUFFERED": unbuffered}
        assert run(words, environment, writing) == (CLOSED, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("words", [["cycles"], ["help"]], ids=" ".join)
def test_a_full_disk_is_told_and_no_success(web_database: dict[str, str], words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        code, error = run(words, web_database, full.fileno())
    assert (code, error) == (1, "orbit: Can't write the output: No space left on device.\n")


def test_without_standard_files_a_command_does_its_work(web_database: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} manage.py audit verify <&- >&- 2>&-"],
        cwd=PROJECT,
        env=web_database,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0
