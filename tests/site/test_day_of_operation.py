"""The commands in docs/operations.md print what the guide shows."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import processes, project
from tests.support.project import PROJECT, Project, Talking

pytestmark = [pytest.mark.processes, pytest.mark.slow]

GUIDE = PROJECT / "docs" / "operations.md"
HEADING = "## A day of operation\n"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"# exit code (\d+)$")
BEGUN, ENDED = "-- a block", "-- ended with "
LONGEST_SECONDS = 240  # of an overloaded machine


def blocks() -> list[tuple[list[str], str]]:
    """Return each block's commands and its expected output."""
    section = GUIDE.read_text().split(HEADING)[1].split("\n## ")[0]
    return [(commands.splitlines(), output) for commands, output in BLOCK.findall(section)]


def script() -> str:
    """Return all commands as one script with marks and exit codes."""
    lines = ["exec 2>&1"]
    for commands, _ in blocks():
        lines.append(f"echo '{BEGUN}'")
        for command in commands:
            lines += [command, f"echo '{ENDED}'$?"]
    return "\n".join(lines) + "\n"


def fits(output: str, expected: str) -> bool:
    """Tell whether the output fits the guide; `...` is anything, spaces don't matter."""
    words = [".*".join(re.escape(part) for part in word.split("...")) for word in expected.split()]
    return re.fullmatch(r"\s+".join(words), output.strip(), re.DOTALL) is not None


def play(copied: Project) -> str:
    """Run the script in the copy's folder; return its output."""
    file = copied.folder / "day.sh"
    file.write_text(script())
    bash = subprocess.Popen(
        ["bash", str(file)],
        cwd=copied.folder,
        env=dict(copied.environment),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, _ = bash.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:  # the output so far shows which command hangs
        processes.kill_group(bash.pid, signal.SIGKILL)
        output, _ = bash.communicate()
    return output


@pytest.fixture
def demo() -> Iterator[Project]:
    """A running `make run` after its first cycle; no schedule is due within hours."""
    with project.open_folder() as folder:
        later = datetime.now(UTC) + timedelta(hours=6)
        copied = project.copy(folder / "orbit", ORBIT_CRON_SCHEDULE=f"0 {later.hour} * * *")
        (copied.folder / ".venv").symlink_to(sys.prefix)
        running = Talking(copied.start("up", "--demo"))
        try:
            running.wait_for("running  ")
            yield copied
        finally:
            running.process.send_signal(signal.SIGINT)
            running.process.wait(60)


@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_each_command_of_the_day_prints_and_exits_as_written(
    demo: Project,
) -> None:
    output = play(demo)
    parts = output.split(f"{BEGUN}\n")[1:]
    assert len(parts) == len(blocks()) > 10, output
    for part, (commands, expected) in zip(parts, blocks(), strict=True):
        codes = [int(code) for code in re.findall(f"^{ENDED}(\\d+)$", part, re.MULTILINE)]
        assert list(zip(commands, codes, strict=False)) == [
            (line, int(code[1]) if (code := CODE.search(line)) else 0) for line in commands
        ], output
        assert fits(re.sub(f"^{ENDED}\\d+$", "", part, flags=re.MULTILINE), expected), (
            f"{expected}\nisn't the output:\n{part}\nof\n{output}"
        )


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("cycle 01a2 success: 3\n", "cycle ... success: 3", True),
        ('{"a":1,"code":"x"}', '{..."code":"x"...}', True),
        ("eu     is\n  quiet", "eu is quiet", True),
        ("eu is quiet\nand more", "eu is quiet", False),
        ("a cycle failed", "a cycle ... success", False),
        ("", "", True),
        ("more", "", False),
    ],
)
def test_a_text_of_the_guide_fits_the_whole_output(output: str, expected: str, same: bool) -> None:
    assert fits(output, expected) is same
