"""``run`` is not there for its program: files, terminal, signals and exit code are the same."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.support.polling import until
from tests.support.scripts import Repository


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 77"], 77),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -SEGV $$"], 139),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
        (["/"], 126),
    ],
)
def test_the_exit_code_is_the_program_s(
    repository: Repository, program: list[str], code: int
) -> None:
    ended, _, errors = repository.command("run", "--", *program)
    assert ended == code
    assert (f"orbit telemetry: {program[0]}: " in errors) == (code in {126, 127})
    events = repository.events()
    assert events[-1]["metadata"]["exit_code"] == code
    assert [event["name"] for event in events if event["name"] != "error"] == [
        *("command_start", "task_start", "task_end", "command_end")
    ]
    assert [event["name"] for event in events].count("error") == (1 if code else 0)


def test_arguments_and_output_are_not_reported(repository: Repository) -> None:
    code, printed, errors = repository.command(
        "run", "--", "sh", "-c", "cat; echo hush-error >&2; exit 1", "hush-argument"
    )
    assert (code, printed) == (1, "")
    assert "hush-error\n" in errors
    assert "hush" not in json.dumps(repository.events())


def test_standard_input_is_the_program_s(repository: Repository) -> None:
    (repository.folder / "input").write_text("typed")
    with (repository.folder / "input").open() as file:
        assert repository.command("run", "--", "cat", stdin=file)[:2] == (0, "typed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(repository: Repository, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-S", "-m", "reporting", "run", "--", "sh", "-c"),
            f"trap 'echo got it; exit 9' {number.name[3:]}; echo ready;"
            " while :; do sleep 0.1; done",
        ],
        cwd=repository.folder,
        env={**os.environ, "ORBIT_TELEMETRY_SPOOL": str(repository.spool)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "got it\n"
    assert process.returncode == 9
    assert repository.names()[-2:] == ["task_end", "command_end"]


def test_the_program_has_the_terminal_and_one_ctrl_c(repository: Repository) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: print('interrupt', flush=True))\n"
        "print('terminal', sys.stdin.isatty(), sys.stdout.isatty(), flush=True)\n"
        "for _ in range(20): time.sleep(0.05)\n"
        "print('end', flush=True); sys.exit(5)\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(repository.folder)
        os.environ["ORBIT_TELEMETRY_SPOOL"] = str(repository.spool)
        os.environ["ORBIT_URL"] = ""
        os.execv(
            sys.executable,
            [sys.executable, "-S", "-m", "reporting", "run", "--", sys.executable, "-c", script],
        )
    printed = b""

    def read_until(text: bytes) -> None:
        nonlocal printed

        def has_come() -> bool:
            nonlocal printed
            try:
                printed += os.read(terminal, 4096)
            except OSError:  # it ended
                return True
            return text in printed

        until(has_come, f"no {text!r}")

    read_until(b"terminal True True")
    os.write(terminal, b"\x03")
    read_until(b"end")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 5
    assert printed.count(b"interrupt") == 1


def test_only_new_and_changed_files_are_artifacts(repository: Repository) -> None:
    for name in ("old.txt", "changed.txt"):
        (repository.folder / name).write_text("before")
    repository.command(
        *("run", "--session", "S", "--artifact", "**/*.txt", "--declare", "new.txt", "--"),
        *("sh", "-c", "mkdir deep; echo 1 > deep/new.txt; echo 2 > changed.txt; mkfifo pipe.txt"),
    )
    events = repository.events()
    assert events[1]["metadata"] == {"artifacts_declared": ["new.txt"]}
    paths = [event["metadata"]["path_name"] for event in events if event["name"] == "artifact_emit"]
    assert paths == ["changed.txt", "deep/new.txt"]


def test_events_of_the_program_belong_to_its_run(repository: Repository) -> None:
    repository.command(
        *("run", "--session", "S", "--task", "T", "--namespace", "eu", "--", sys.executable, "-m"),
        *("reporting", "error", "no space", "--stage", "unpack"),
    )
    (error,) = [event for event in repository.events() if event["name"] == "error"]
    assert (error["session_id"], error["task_id"], error["namespace"]) == ("S", "T", "eu")
    assert error["metadata"] == {"message": "no space"}


def test_a_missing_program_is_a_usage_error(repository: Repository) -> None:
    assert repository.command("run", "--session", "S")[0] == 2


def test_links_that_lead_in_circles_are_not_followed(repository: Repository) -> None:
    for name in ("one", "two"):
        (repository.folder / name).symlink_to(".")
    code, _, errors = repository.command(
        *("run", "--artifact", "**/*.txt", "--artifact", "deep/**", "--", "sh", "-c"),
        "mkdir -p deep/er; echo 1 > deep/er/new.txt; echo 1 > .hidden.txt",
    )
    assert code == 0, errors
    paths = [
        event["metadata"]["path_name"]
        for event in repository.events()
        if event["name"] == "artifact_emit"
    ]
    assert paths == [".hidden.txt", "deep/er/new.txt"]


def test_the_environment_is_the_caller_s(repository: Repository) -> None:
    # Python without a locale would set LC_CTYPE for its children.
    unset: dict[str, str | None] = dict.fromkeys(("LC_ALL", "LC_CTYPE", "LANG"))
    _, printed, _ = repository.command("run", "--session", "S", "--", "env", env=unset)
    names = {line.partition("=")[0] for line in printed.splitlines()}
    assert "ORBIT_TELEMETRY_SESSION" in names
    assert "LC_CTYPE" not in names


def test_a_value_may_begin_with_a_hyphen(repository: Repository) -> None:
    for arguments in (
        ("error", "--- FAIL: no space", "--stage", "-x"),
        ("error", "--stage=unpack", "-h is no option"),
        ("metric", "balance", "-1e3"),
        ("decision", "--"),
        ("decision", "--", "--"),
        ("artifact", "-rf", "--version"),
        ("violation", "-", "--policy", "-r", "high", "--host", "h1"),
    ):
        code, _, errors = repository.command(*arguments)
        assert code == (2 if arguments == ("decision", "--") else 0), errors
    said = [
        (event["name"], event.get("stage"), event["metadata"].get("message"))
        for event in repository.events()
    ]
    assert said[:2] == [
        ("error", "-x", "--- FAIL: no space"),
        ("error", "unpack", "-h is no option"),
    ]
    assert repository.events()[-1]["metadata"]["host"] == "h1"
    assert repository.command("error", "--help")[0] == 0
