import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from socket import socket as Socket

import pytest
from django.core.management import get_commands

from governance.access.actors import SYSTEM
from orbit.cycles import trigger
from orbit.models import ClusterNode, CycleRun
from orbit.states import Trigger
from orbit_site.processes.forks import STEADY_SECONDS, ForkedChild, SharedPage
from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.clusters import cluster, endpoint
from tests.support.configuration import write_profiles
from tests.support.polling import until
from tests.support.receiver import OK, Receiver


def start_cycle() -> CycleRun:
    return CycleRun.objects.get(
        pk=trigger.start(namespace="default", source=Trigger.COMMAND, actor=SYSTEM).cycle_id
    )


def slowly(seconds: float) -> Callable[[Socket], None]:
    def answer(sock: Socket) -> None:
        time.sleep(seconds)
        sock.sendall(OK)

    return answer


def ended(cycle: CycleRun) -> bool:
    cycle.refresh_from_db()
    return cycle.finished_at is not None


def refused(server: Server, name: str, folder: Path, **variables: str) -> str:
    """Start a cluster that refuses; return its message."""
    write_profiles(folder, [], [])
    environment = {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CONFIG_DIR": str(folder),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "cluster"],
        cwd=database.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_command_of_django_q2_runs_our_cluster() -> None:
    assert get_commands()["qcluster"] == get_commands()["cluster"] == "orbit_site"


@pytest.mark.processes
def test_cycles_triggered_before_and_after_the_start_run(
    server: Server, committed: str, tmp_path: Path
) -> None:
    before = start_cycle()
    with (
        Receiver() as sink,
        cluster(server, committed, tmp_path, command="qcluster", **endpoint(sink.url)) as running,
    ):
        until(lambda: ended(before), "the cycle from before didn't end")
        running.ready()
        node = ClusterNode.objects.get()
        assert (node.pid, node.workers, node.draining) == (running.process.pid, 2, False)
        after = start_cycle()
        until(lambda: ended(after), "the cycle from after didn't end")
        assert {before.status, after.status} == {"success"}
        running.stop()
        assert running.code() == 0
    assert not ClusterNode.objects.exists()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["parent", "group", "ctrl-c"],
)
def test_a_signal_lets_running_cycles_finish_and_exits_with_0(
    server: Server, committed: str, tmp_path: Path, number: signal.Signals, *, to_group: bool
) -> None:
    with (
        Receiver(slowly(1.5)) as sink,
        cluster(server, committed, tmp_path, **endpoint(sink.url)) as running,
    ):
        running.ready()
        cycle = start_cycle()
        until(lambda: sink.requests, "nothing was sent")
        for _ in range(3):  # a second one changes nothing
            if to_group:
                processes.kill_group(running.process.pid, number)
            else:
                running.stop(number)
            time.sleep(0.01)
        until(
            lambda: ClusterNode.objects.filter(draining=True),
            "the row doesn't say that the cluster drains",
        )
        assert running.code() == 0
    assert ended(cycle)
    assert cycle.status == "success"
    assert not ClusterNode.objects.exists()


@pytest.mark.processes
def test_a_cycle_that_does_not_finish_in_time_is_given_back(
    server: Server, committed: str, tmp_path: Path
) -> None:
    release = threading.Event()
    with (
        Receiver(lambda sock: release.wait(600)) as sink,
        cluster(
            server, committed, tmp_path, ORBIT_DRAIN_SECONDS="1", **endpoint(sink.url)
        ) as running,
    ):
        running.ready()
        cycle = start_cycle()
        until(lambda: sink.requests, "nothing was sent")
        running.stop()
        assert running.code() == 0
        release.set()
    cycle.refresh_from_db()
    assert (cycle.status, cycle.lease_owner) == ("running", None)
    assert cycle.next_due_at is not None


@pytest.mark.processes
def test_an_idle_cluster_does_not_wait_for_the_time_to_drain(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with cluster(server, committed, tmp_path, ORBIT_DRAIN_SECONDS="600") as running:
        running.ready()
        processes.kill_group(running.process.pid, signal.SIGTERM)
        assert running.code() == 0


@pytest.mark.processes
def test_a_database_without_tables_is_refused_with_the_command_to_run(
    server: Server, committed: str, tmp_path: Path
) -> None:
    assert "manage.py migrate" in refused(server, "postgres", tmp_path)


@pytest.mark.processes
def test_an_unreachable_server_is_named(server: Server, committed: str, tmp_path: Path) -> None:
    message = refused(
        server,
        committed,
        tmp_path,
        DATABASE_URL="postgresql://u@127.0.0.1:1/x",
        ORBIT_OWNER_DATABASE_URL="",
    )
    assert "127.0.0.1" in message
    assert "DATABASE_URL" in message


@pytest.mark.processes
def test_a_cron_that_cannot_be_read_is_refused(
    server: Server, committed: str, tmp_path: Path
) -> None:
    assert "ORBIT_CRON_SCHEDULE" in refused(
        server, committed, tmp_path, ORBIT_CRON_SCHEDULE="every day"
    )


def test_a_child_that_ends_is_replaced_at_once_and_later_if_it_dies_young_again_and_again() -> None:
    child, now, waits = ForkedChild(1, "worker 1", lambda: None), 100.0, []
    for _ in range(5):
        child.pid, child.started_at = 1, now
        child.ended(now)
        waits.append(child.restart_at - now)
    assert waits == [0, 0, 0.5, 1, 2]
    child.ended(now + STEADY_SECONDS)
    assert (child.restart_at, child.pid) == (now + STEADY_SECONDS, 0)


def test_a_stamp_of_a_forked_child_is_seen_by_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    page = SharedPage(2)
    pid = os.fork()
    if not pid:
        page.stamp(1)
        os._exit(0)
    os.waitpid(pid, 0)
    assert page.silence(1) == 0
    page.phase = 2.0
    assert page.silence(0) == now


def test_silence_grows_from_the_last_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    page = SharedPage(1)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    page.stamp(0)
    monkeypatch.setattr(time, "monotonic", lambda: 111.0)
    assert page.silence(0) == 11
