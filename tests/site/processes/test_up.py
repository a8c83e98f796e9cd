import http.client
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from orbit_site.processes import postgres
from tests.support import processes, project
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.project import Project, Talking, commands_in, processes_in

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def ask(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    try:
        return set(ask(port, "/ready?cluster=1")["checks"].values()) == {"ok"}
    except (OSError, http.client.HTTPException, ValueError):
        return False


def child_of(pid: int, command: str) -> psutil.Process | None:
    """Return the child that runs ``command``; a new one has its parent's words at first."""
    for child in processes.children(pid):
        if f"manage.py {command}" in processes.words(child):
            return child
    return None


def end(running: Talking, number: signal.Signals = signal.SIGINT) -> int:
    running.process.send_signal(number)
    return running.process.wait(60)


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Project, Talking]]:
    """A running `make run` after its first cycle, in a folder with an awkward name."""
    with project.open_folder() as folder:
        copied = project.copy(folder / 'it\'s my "orbit"')
        running = Talking(copied.start("up", "--demo"))
        try:
            running.wait_for(" deliveries")
            yield copied, running
        finally:
            # As a terminal sends it: to the whole group.
            processes.kill_group(running.process.pid, signal.SIGINT)
            code = running.process.wait(60)
        # A Ctrl-C leaves no process, whatever died and was started again before.
        assert (code, processes_in(copied.folder)) == (0, [])


@pytest.fixture(scope="module")
def used() -> Iterator[Project]:
    """A folder for several starts; the first creates the database."""
    with project.open_folder() as folder:
        yield project.copy(folder / "orbit")


def test_it_shows_address_login_and_the_outcome_of_a_real_cycle(
    demo: tuple[Project, Talking],
) -> None:
    copied, running = demo
    assert re.search(
        r"cycle [0-9a-f-]{36} success: 3 tiers, 3 deliveries", running.wait_for(" deliveries")
    )
    assert f"http://127.0.0.1:{copied.environment['PORT']}/admin/" in running.wait_for("ready  ")
    assert (
        running.wait_for("login: ").strip()
        == f"login: admin / {(copied.var / 'admin-password').read_text()}"
    )


def test_the_demo_receiver_got_what_the_cycle_delivered_once_each(
    demo: tuple[Project, Talking],
) -> None:
    copied, _ = demo
    got = ask(int((copied.var / "aurora-port").read_text()), "/deliveries")["results"]
    first = [
        delivery
        for delivery in got
        if delivery["headers"]["X-Orbit-Cycle"] == got[-1]["headers"]["X-Orbit-Cycle"]
    ]
    assert len(first) == 3
    assert {delivery["repeats"] for delivery in first} == {0}


def test_what_is_secret_is_readable_by_its_owner_alone(demo: tuple[Project, Talking]) -> None:
    copied, _ = demo
    for name in ("admin-password", "aurora-token", "secret-key"):
        assert (copied.var / name).stat().st_mode & 0o077 == 0, name


def test_a_second_up_on_the_same_folder_is_refused_by_naming_the_first(
    demo: tuple[Project, Talking],
) -> None:
    copied, running = demo
    code, output = copied.run("up", PORT=str(free_port()))
    assert code == 2
    assert f"process {running.process.pid}, http://127.0.0.1:{copied.environment['PORT']}" in output
    assert running.process.poll() is None


@pytest.mark.parametrize("victim", ["web", "cluster", "postgres"])
def test_what_is_killed_is_started_again_and_cycles_go_on(
    demo: tuple[Project, Talking], victim: str
) -> None:
    copied, running = demo
    if victim == "postgres":
        target = processes.postmaster(postgres.locate(copied.var))
    else:
        target = until(partial(child_of, running.process.pid, victim), f"there is no {victim}")
    target.kill()
    running.wait_for(
        "database    had ended, and is started again"
        if victim == "postgres"
        else f"{victim:<12}ended (-9) and is started again",
        seconds=60,
    )
    until(partial(is_ready, int(copied.environment["PORT"])), "it isn't ready", every=0.1)
    code, output = copied.run("trigger", "--wait")
    assert code == 0, output


def test_it_outlives_a_database_that_cannot_be_started_and_starts_it_when_it_can(
    demo: tuple[Project, Talking],
) -> None:
    copied, running = demo
    server = postgres.locate(copied.var)
    whole = server.data / "global"
    process = processes.postmaster(server)
    output = len(running.lines)
    whole.rename(whole.with_name("gone"))
    process.send_signal(signal.SIGQUIT)
    process.wait(60)
    running.wait_for("can't be started again")
    time.sleep(1)
    assert running.process.poll() is None
    whole.with_name("gone").rename(whole)
    until(
        lambda: any(
            "is started again" in line and "database" in line for line in running.lines[output:]
        ),
        "the database isn't started again",
        seconds=120,
    )


def test_a_signal_in_the_middle_of_the_start_leaves_no_process(used: Project) -> None:
    for text in ("database", "migrations", "processes"):
        running = Talking(used.start("up", "--demo"))
        running.wait_for(text)
        assert end(running) == 0, text
        assert processes_in(used.folder) == [], text


def test_a_misspelt_variable_is_reported_once_and_not_by_each_child(used: Project) -> None:
    running = Talking(used.start("up", ORBIT_GLOBALPAUSE="true"))
    running.wait_for("running  ")
    assert end(running, signal.SIGTERM) == 0
    assert [line for line in running.lines if "ORBIT_GLOBALPAUSE" in line] == [
        "orbit: warning: This release doesn't use ORBIT_GLOBALPAUSE. "
        "Did you mean ORBIT_GLOBAL_PAUSE?\n"
    ]


def test_after_a_kill_the_next_start_takes_seconds_and_adopts_the_database(used: Project) -> None:
    running = Talking(used.start("up"))
    running.wait_for("running  ")
    running.process.kill()
    running.process.wait()
    until(
        lambda: not any("manage.py" in command for command in commands_in(used.folder)),
        "the children live on",
        every=0.1,
    )
    server = processes.postmaster(postgres.locate(used.var))

    running = Talking(used.start("up"))
    running.wait_for("running  ", seconds=60)
    assert processes.lives(server)
    assert end(running, signal.SIGTERM) == 0
    assert processes_in(used.folder) == []


def test_a_busy_port_is_refused_before_anything_starts(folder: Path) -> None:
    copied = project.copy(folder / "orbit")
    with socket.create_server(("127.0.0.1", int(copied.environment["PORT"]))):
        code, output = copied.run("up", "--demo")
    assert code == 2
    assert f"port {copied.environment['PORT']}" in output
    assert "PORT=" in output
    assert len(output.splitlines()) == 1
    assert not (copied.var / "postgres").exists()


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    copied = project.copy(folder / "orbit")
    copied.var.write_text("a file where a folder should be")
    code, output = copied.run("up", "--demo")
    assert code == 2
    assert str(copied.var) in output
    assert "writable" in output
    assert len(output.splitlines()) == 1


def test_an_invalid_configuration_ends_it_with_every_error_and_no_process(used: Project) -> None:
    profiles = used.folder / "config" / "profiles.json"
    valid = profiles.read_text()
    profiles.write_text('[{"profile_id": "Not An Id"}]')
    try:
        code, output = used.run("up")
    finally:
        profiles.write_text(valid)
    assert code == 2
    assert "profiles.json" in output
    assert "/0/profile_id" in output
    assert "Traceback" not in output
    assert processes_in(used.folder) == []
