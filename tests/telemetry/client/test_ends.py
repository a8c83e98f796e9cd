"""Each start has its end, however a script ends; the script ends as it would have without us."""

import signal

import pytest

from tests.support.polling import until
from tests.support.scripts import Repository


def test_the_client_loads_nothing_but_the_standard_library(repository: Repository) -> None:
    code, printed, errors = repository.run(
        'with task("T", session="S"): metric("m", 1)\n'
        'outside = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)\n'
        'print(sorted(outside - {"__main__"}))'
    )
    assert (code, printed) == (0, "['reporting']\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("body", "code", "outcome"),
    [
        ("pass", 0, {"success": True}),
        ("sys.exit()", 0, {"success": True, "exit_code": 0}),
        ("sys.exit(7)", 7, {"success": False, "exit_code": 7}),
        ("sys.exit('no')", 1, {"success": False, "exit_code": 1}),
        ("1 / 0", 1, {"success": False, "exception": "ZeroDivisionError"}),
        (
            "import signal; signal.raise_signal(signal.SIGINT)",
            -signal.SIGINT,
            {"success": False, "exit_code": 130, "exception": "KeyboardInterrupt"},
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
            -signal.SIGTERM,
            {"success": False, "signal": "SIGTERM"},
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGHUP)",
            -signal.SIGHUP,
            {"success": False, "signal": "SIGHUP"},
        ),
        ("t.fail('empty')", 0, {"success": False, "reason": "empty"}),
    ],
)
def test_a_task_reports_how_it_ended(
    repository: Repository, body: str, code: int, outcome: dict[str, object]
) -> None:
    ended, _, _ = repository.run(f'with task("T", session="S") as t:\n    {body}')
    assert ended == code
    events = repository.events()
    last = [event for event in events if event["name"] == "task_end"]
    assert [event["metadata"] for event in last] == [outcome]
    assert last[0]["duration_ms"] >= 0
    assert events[-1]["name"] == "command_end"
    assert events[-1]["metadata"] == {"command": "script.py", **outcome}
    assert {event["session_id"] for event in events} == {"S"}


def test_the_text_of_an_exception_may_hold_a_secret(repository: Repository) -> None:
    repository.run('with task("T"):\n    raise ValueError("https://me:hush@example.org")')
    (message,) = [
        event["metadata"]["message"] for event in repository.events() if event["name"] == "error"
    ]
    assert message == "ValueError at script.py:4"
    assert "hush" not in str(repository.events())


def test_sigkill_leaves_a_start_without_an_end(repository: Repository) -> None:
    repository.run('import os, signal\nwith task("T"):\n    os.kill(os.getpid(), signal.SIGKILL)')
    assert repository.names() == ["command_start", "task_start"]


def test_a_handler_of_the_script_is_left_alone(repository: Repository) -> None:
    code, printed, _ = repository.run(
        "import os, signal\n"
        "def handler(number, frame): print('mine'); sys.exit(4)\n"
        "signal.signal(signal.SIGTERM, handler)\n"
        'with task("T"): os.kill(os.getpid(), signal.SIGTERM)'
    )
    assert (code, printed) == (4, "mine\n")
    assert repository.names()[-2:] == ["task_end", "command_end"]


def test_a_child_of_a_fork_ends_nothing_of_its_parent(repository: Repository) -> None:
    code, _, errors = repository.run(
        "import os, warnings; warnings.simplefilter('error')\n"
        'with task("parent"):\n'
        '    metric("before", 1)\n'
        "    if os.fork() == 0:\n"
        '        with task("child"): pass\n'
        "        sys.exit(0)\n"
        "    os.wait()\n",
        env={"ORBIT_URL": "http://127.0.0.1:1"},
    )
    assert code == 0, errors
    ends = [event["task_id"] for event in repository.events() if event["name"] == "task_end"]
    assert sorted(ends) == ["child", "parent"]


def test_events_of_threads_and_inner_tasks_belong_to_their_task(repository: Repository) -> None:
    repository.run(
        "import threading\n"
        'with task("outer", session="S"):\n'
        '    with task("inner"): metric("of inner", 1)\n'
        '    thread = threading.Thread(target=lambda: metric("of a thread", 1))\n'
        "    thread.start(); thread.join()\n"
        '    metric("of outer", 1)\n'
        'metric("of none", 1)\n'
    )
    tasks = {
        event["metadata"]["name"]: (event["session_id"], event.get("task_id"))
        for event in repository.events()
        if event["name"] == "metric"
    }
    assert tasks.pop("of none")[1] is None
    assert tasks == {
        "of inner": ("S", "inner"),
        "of a thread": ("S", "outer"),
        "of outer": ("S", "outer"),
    }


def test_ids_are_uuid7_in_order(repository: Repository) -> None:
    repository.run('for i in range(3000): metric("m", i)')
    ids = [event["id"] for event in repository.events()]
    assert len(ids) == len(set(ids)) == 3000
    assert ids == sorted(ids)
    assert {(item[14], item[19] in "89ab") for item in ids} == {("7", True)}


@pytest.mark.parametrize("closed", ["close", "full"])
def test_a_script_without_standard_error_is_not_disturbed(
    repository: Repository, closed: str
) -> None:
    begin = "sys.stderr.close()" if closed == "close" else 'sys.stderr = open("/dev/full", "w")'
    code, _, _ = repository.run(f'{begin}\nwith task("T"): metric("m", float("nan"))')
    assert code == 0
    assert "task_end" in repository.names()


def test_what_is_no_json_is_sent_as_text(repository: Repository) -> None:
    code, _, errors = repository.run(
        "class Broken:\n"
        "    def __str__(self): raise RuntimeError\n"
        "loop = []; loop.append(loop)\n"
        'with task("a\\0b\\n" + "x" * 300, tags=5, priority="high", provider_type="Oracle"):\n'
        '    error("m" * 1_000_000)\n'
        '    metric("m", float("nan")); metric("m", "seven"); metric("m", "7", size=b"x", n=None)\n'
        "    decision('d', when=float('inf'), who=Broken(), data=b'\\xff', loop=loop, "
        "big=10**9000, key={1: '\\ud800'}, much='y' * 200_000)\n"
        '    artifact("/nowhere"); artifact(None); artifact("/dev/zero")\n'
        '    violation(None, "", 1, "high")\n'
    )
    assert code == 0
    assert "values that aren't JSON are sent as text" in errors
    for event in repository.events():
        assert len(event.get("task_id", "")) <= 200
    (message, *unread) = [
        event["metadata"]["message"] for event in repository.events() if event["name"] == "error"
    ]
    assert message.endswith("... [cut: 1000000 characters]")
    assert len(unread) == 3
    assert repository.names()[-2:] == ["task_end", "command_end"]


def test_an_artifact_over_50_mb_has_no_hash_and_a_decision_says_so(
    repository: Repository,
) -> None:
    (repository.folder / "small").write_bytes(b"abc")
    with (repository.folder / "large").open("wb") as file:
        file.truncate((50 << 20) + 1)
    repository.run('with task("T"): artifact("small"); artifact("large")')
    small, large, why = repository.events()[2:5]
    assert small["metadata"] == {
        "path_name": "small",
        "size": 3,
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert large["metadata"] == {"path_name": "large", "size": (50 << 20) + 1}
    assert why["name"] == "decision"
    assert why["metadata"]["decision"] == (
        "artifact large is recorded without a hash: it is over 50 MB"
    )


def test_a_terminated_task_that_waits_ends_at_once(repository: Repository) -> None:
    process = repository.start(
        'import time\nwith task("T"):\n    print(1, flush=True); time.sleep(300)'
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    until(lambda: repository.names() == ["command_start", "task_start"], "no start on disk")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert repository.names()[-2:] == ["task_end", "command_end"]


def test_forks_beside_threads_are_quiet(repository: Repository) -> None:
    code, _, errors = repository.run(
        "import os, threading\n"
        "ended = threading.Event()\n"
        "def spin():\n"
        '    while not ended.is_set(): metric("m", 1)\n'
        "threads = [threading.Thread(target=spin) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for i in range(20):\n"
        "    if (child := os.fork()) == 0:\n"
        '        metric("m", 1); os._exit(0)\n'
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "ended.set()",
        env={"ORBIT_URL": "http://127.0.0.1:1"},
    )
    assert code == 0, errors
    assert set(errors.splitlines()) == {
        "orbit telemetry: Orbit can't be reached: [Errno 111] Connection refused. "
        "Events are kept and sent later."
    }


def test_each_session_has_a_command_of_its_own(repository: Repository) -> None:
    repository.run(
        "import threading\n"
        "def other():\n"
        '    with task("B", session="S2"): pass\n'
        'with task("A", session="S1"):\n'
        "    thread = threading.Thread(target=other); thread.start(); thread.join()\n"
        '    with task("C", session="S3"): pass\n'
        '    with task("D", session="S1"): pass\n'
    )
    ends = [event["session_id"] for event in repository.events() if event["name"] == "command_end"]
    assert sorted(ends) == ["S1", "S2", "S3"]


def test_objects_that_fail_fail_no_script(repository: Repository) -> None:
    code, _, errors = repository.run(
        "class Broken:\n"
        "    def __float__(self): raise RuntimeError\n"
        "    __bool__ = __iter__ = __str__ = __fspath__ = __float__\n"
        "b = Broken()\n"
        "with task(b, session=b, title=b, tags=b, priority=b, provider_type=b,\n"
        "          provider_cache_hit=b, artifacts_declared=b) as t:\n"
        "    metric(b, b, label=b); error(b, stage=b); artifact(b, name=b); decision(b, why=b)\n"
        "    violation(b, b, b, b, b); error(memoryview(b'abcd').cast('B', (2, 2)))\n"
        "    configure(url=b); configure(spool=b); configure(token=b, namespace=b)\n"
        "    command(b, session=b); t.fail(b)\n"
    )
    assert (code, "Traceback" in errors) == (0, False), errors
    assert repository.names()[-2:] == ["task_end", "command_end"]


def test_signals_of_a_script_are_not_taken_by_the_thread_that_sends(
    repository: Repository,
) -> None:
    code, printed, errors = repository.run(
        "import os, signal, time\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        'metric("m", 1)\n'
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "print(signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1)",
        env={"ORBIT_URL": "http://127.0.0.1:1"},
    )
    assert (code, printed) == (0, "True\n"), errors
