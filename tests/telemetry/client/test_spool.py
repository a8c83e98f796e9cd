"""Events are on disk until Orbit has them; no script fails because neither takes them."""

import gzip
import json
import os
import signal
import socket
import time

import pytest

from tests.support import receiver
from tests.support.polling import until
from tests.support.receiver import Receiver, http
from tests.support.scripts import Repository

ACCEPTS = http("202 Accepted", b'{"accepted": 1, "duplicate": 0, "rejected": []}')
TASK = 'with task("T", session="S"): metric("m", 1)'
ALL = ["command_start", "task_start", "metric", "task_end", "command_end"]
#: An account that owns nothing.
STRANGER = 65534


def names(*receivers: Receiver) -> list[str]:
    """Return the names of the events that arrived."""
    return [
        json.loads(line)["name"]
        for receiver in receivers
        for request in receiver.requests
        for line in gzip.decompress(request.body).splitlines()
    ]


def to(server: Receiver) -> dict[str, str]:
    return {"ORBIT_URL": f"http://127.0.0.1:{server.port}/", "ORBIT_TOKEN": "secret-token"}


def test_events_arrive_and_nothing_is_left(repository: Repository) -> None:
    with Receiver(ACCEPTS) as server:
        code, _, errors = repository.run(TASK, env=to(server))
    assert (code, errors) == (0, "")
    assert names(server) == ALL
    request = server.requests[0]
    assert request.line == "POST /telemetry/events HTTP/1.1"
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.headers["content-type"] == "application/x-ndjson"
    assert repository.events() == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (http("401 Unauthorized"), "Orbit refuses the token in ORBIT_TOKEN (401)"),
        (http("403 Forbidden"), "It needs the scope operate"),
        (http("404 Not Found"), "404 is no answer of Orbit: check ORBIT_URL"),
        (http("302 Found", headers=["Location: http://127.0.0.1:1/"]), "302 is no answer of Orbit"),
        (http("429 Too Many", headers=["Retry-After: 60"]), "Orbit has no time now (429)"),
        (http("503 Unavailable", headers=["Retry-After: soon"]), "Orbit has no time now (503)"),
        (http("500 Oops"), "Orbit answers 500"),
        (http("200 OK", b"<html>Log in to the hotel"), "the answer isn't Orbit's"),
        (receiver.close, "Orbit can't be reached"),
        (receiver.reset, "Orbit can't be reached"),
        (b"nonsense\r\n\r\n", "Events are kept"),
    ],
)
def test_what_an_answer_leaves_is_sent_later(
    repository: Repository, answer: receiver.Answer, sentence: str
) -> None:
    with Receiver(answer) as server:
        code, _, errors = repository.run(TASK, env=to(server))
        assert code == 0
        assert sentence in errors
        assert "secret-token" not in errors
        assert errors.count("\n") == 1
        assert len(server.requests) <= 2
        assert repository.names() == ALL


def test_a_silent_orbit_holds_no_script_up(repository: Repository) -> None:
    with Receiver(receiver.silent) as server:
        begun = time.monotonic()
        code, printed, _ = repository.run(f"{TASK}\nprint('done', flush=True)", env=to(server))
        # Two seconds at its end; a busy machine takes as long again and more.
        assert time.monotonic() - begun < 30
    assert (code, printed) == (0, "done\n")
    assert repository.names() == ALL


def test_the_next_run_sends_what_a_killed_one_left(repository: Repository) -> None:
    gone = {"ORBIT_URL": "http://127.0.0.1:1"}
    code, _, _ = repository.run(
        f"import os, signal\n{TASK}\nos.kill(os.getpid(), signal.SIGKILL)",
        env={"ORBIT_URL": None},
    )
    assert code == -signal.SIGKILL
    assert repository.names() == ALL
    assert repository.run(TASK, env=gone)[0] == 0
    with Receiver(ACCEPTS) as server:
        # What was for another Orbit stays: only events that had no address go anywhere.
        repository.run(TASK, env=to(server))
        assert names(server) == ALL * 2
    assert repository.names() == ALL
    assert "1 files are still kept" in repository.command("flush", env=gone)[2]


def test_two_flushes_at_once_lose_nothing(repository: Repository) -> None:
    for _ in range(12):
        repository.run(TASK)
    with Receiver(ACCEPTS) as server:
        both = [repository.start("print(flush(60))", env=to(server)) for _ in range(2)]
        assert [process.communicate(timeout=60)[0] for process in both] == ["True\n"] * 2
    assert sorted(names(server)) == sorted(ALL * 12)
    assert repository.events() == []


def test_a_rejected_event_is_set_aside_and_the_others_are_done(repository: Repository) -> None:
    rejected = {"index": 2, "code": "too_old", "detail": "Before 400 days ago."}
    answer = json.dumps({"accepted": 4, "duplicate": 0, "rejected": [rejected]}).encode()
    with Receiver(http("202 Accepted", answer)) as server:
        code, _, errors = repository.run(TASK, env=to(server))
        assert code == 0
        assert "Orbit rejects 1 events: too_old: Before 400 days ago. They are in" in errors
        assert repository.command("flush", env=to(server))[0] == 0
        assert len(server.requests) == 1
    (aside,) = repository.spool.rglob("rejected.jsonl")
    assert json.loads(aside.read_text())["name"] == "metric"


def test_an_event_that_spoils_its_batch_is_found(repository: Repository) -> None:
    refuses = http("422 Unprocessable", b"{}")
    # The batch of 5, its first half of 2, its second of 3, of this 1 and 2.
    with Receiver(refuses, ACCEPTS, refuses, refuses, ACCEPTS) as server:
        repository.run(TASK)
        assert repository.command("flush", env=to(server))[0] == 0
    (aside,) = repository.spool.rglob("rejected.jsonl")
    assert json.loads(aside.read_text())["name"] == "metric"
    assert repository.events() == []


def test_files_of_any_size_and_kind_in_the_spool_stop_nothing(repository: Repository) -> None:
    repository.run(TASK)
    (path,) = repository.spool.rglob("*.ndjson")
    line = b'{"name": "metric", "text": "%s"}\n' % (b"x" * 1000)
    (path.parent / "00-large.ndjson").write_bytes(line * 10_000)
    (path.parent / "01-half.ndjson").write_bytes(line + line[:100])
    (path.parent / "02-empty.ndjson").touch()
    (path.parent / "03-folder.ndjson").mkdir()
    os.mkfifo(path.parent / "04-pipe.ndjson")
    with Receiver(ACCEPTS) as server:
        code, _, errors = repository.command("flush", env=to(server))
    assert (code, errors) == (0, "")
    sent = [gzip.decompress(request.body) for request in server.requests]
    assert max(map(len, sent)) < 5 << 20
    assert b"".join(sent).count(b"\n") == 10_000 + 1 + len(ALL)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "03-folder.ndjson",
        "04-pipe.ndjson",
    ]


def test_a_spool_keeps_its_limit_and_says_what_it_drops(repository: Repository) -> None:
    _, _, errors = repository.run(
        "from reporting import spool, reporter\n"
        "spool.SEGMENT_BYTES = 50_000\n"
        "reporter.get().spools[0]._limit = 200_000\n"
        "for i in range(5_000): metric('m', i)\n"
    )
    assert "Its oldest events are dropped" in errors
    kept = [event["metadata"]["value"] for event in repository.events()]
    assert kept == list(range(kept[0], 5_000))
    assert sum(path.stat().st_size for path in repository.spool.rglob("*.ndjson")) <= 250_000


def test_a_full_disk_stops_no_script_and_orbit_still_gets_the_events(
    repository: Repository,
) -> None:
    # The kernel refuses every byte of a file.
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
    with Receiver(ACCEPTS) as server:
        code, _, errors = repository.run(limited + TASK, env=to(server))
    assert code == 0
    assert "can't keep events on disk" in errors
    assert sorted(names(server)) == sorted(ALL)
    code, _, errors = repository.run(limited + TASK, env={"ORBIT_URL": "http://127.0.0.1:1"})
    assert code == 0
    assert "events are lost: no disk and no Orbit" in errors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_account_that_can_write_nowhere_only_loses_events(repository: Repository) -> None:
    repository.spool.mkdir(mode=0o755)
    code, _, errors = repository.run(
        f"import os; os.setgid({STRANGER}); os.setuid({STRANGER})\n{TASK}", env={"HOME": None}
    )
    assert code == 0
    assert "can't keep events on disk: no folder can be written" in errors
    assert repository.events() == []


def test_without_a_home_the_temporary_folder_is_used(repository: Repository) -> None:
    nowhere = {"HOME": "/dev/null", "ORBIT_TELEMETRY_SPOOL": None, "XDG_STATE_HOME": None}
    code, _, _ = repository.run(TASK, env={**nowhere, "TMPDIR": str(repository.folder)})
    assert code == 0
    (folder,) = repository.folder.glob("orbit-telemetry-*/any")
    assert folder.stat().st_mode & 0o777 == 0o700
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_long_task_is_reported_while_it_runs(repository: Repository) -> None:
    with Receiver(ACCEPTS) as server:
        process = repository.start(
            'import time\nwith task("T"):\n    time.sleep(300)', env=to(server)
        )
        until(lambda: names(server) == ALL[:2], "no start arrives")
        process.terminate()
        process.communicate(timeout=60)
        assert names(server) == [*ALL[:2], *ALL[-2:]]


def test_a_switched_off_client_keeps_and_says_nothing(repository: Repository) -> None:
    assert repository.run(TASK, env={"ORBIT_URL": ""}) == (0, "", "")
    assert not repository.spool.exists()


def test_a_port_that_takes_connections_and_reads_nothing(repository: Repository) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        code, _, _ = repository.run(
            TASK, env={"ORBIT_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        )
    assert code == 0
    assert repository.names() == ALL


def test_an_answer_of_a_proxy_is_no_verdict_on_events(repository: Repository) -> None:
    page = http("400 Bad Request", b"<html>The plain HTTP request was sent to HTTPS port")
    with Receiver(page) as server:
        code, _, errors = repository.run(TASK, env=to(server))
        assert code == 0
        assert "400 is no answer of Orbit: check ORBIT_URL" in errors
        assert len(server.requests) <= 2
    assert repository.names() == ALL


@pytest.mark.parametrize(
    ("url", "token", "sentence"),
    [
        ("http://127.0.0.1:1", "secret\nhush", "ORBIT_TOKEN has a space, a line end or"),
        ("http://127.0.0.1:1", "hush\u2019", "ORBIT_TOKEN has a space, a line end or"),
        ("https://me:hush@127.0.0.1:1", "t", "ORBIT_URL must have no user and no password"),
        ("127.0.0.1:1", "t", "ORBIT_URL must begin with http:// or https://"),
    ],
)
def test_settings_that_are_wrong_are_named_without_their_secrets(
    repository: Repository, url: str, token: str, sentence: str
) -> None:
    code, _, errors = repository.run(TASK, env={"ORBIT_URL": url, "ORBIT_TOKEN": token})
    assert code == 0
    assert sentence in errors
    assert "hush" not in errors
    assert not [path for path in repository.spool.rglob("*") if "hush" in str(path)]
    assert repository.names() == ALL


def test_a_script_that_changes_its_folder_has_one_spool(repository: Repository) -> None:
    deep = repository.folder / "deep"
    deep.mkdir()
    code, _, _ = repository.run(
        'import os\nwith task("T"): os.chdir("deep"); flush(); metric("m", 1)',
        env={"ORBIT_TELEMETRY_SPOOL": "spool", "ORBIT_URL": "http://127.0.0.1:1"},
    )
    assert code == 0
    assert list(deep.iterdir()) == []
    assert repository.names() == ALL


def test_a_flush_that_has_nothing_to_do_is_done(repository: Repository) -> None:
    assert repository.command("flush", env={"ORBIT_URL": ""}) == (0, "", "")
