"""A cluster survives the deaths of its processes and of its database, with real signals."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket as Socket

import psycopg
import pytest
from django.db import connection
from django_q.models import OrmQ
from django_q.models import Schedule as Row
from psycopg import sql

from governance.access.actors import SYSTEM
from orbit import queue
from orbit.cycles import trigger
from orbit.models import ClusterNode, CronTick, CycleRun, DeliveryReceipt
from orbit.states import Trigger
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.chaos.testbed import use_database
from tests.support import database, processes
from tests.support.clusters import Cluster, cluster, endpoint
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def shared_cluster(
    server: Server,
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """One cluster for the tests that leave it whole. At the end it must stop in good order."""
    before, name = connection.settings_dict["NAME"], f"orbit_kills_{os.getpid()}"
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        database.clone(server, name)
        use_database(server, name)
        try:
            with (
                Receiver() as sink,
                cluster(
                    server,
                    name,
                    tmp_path_factory.mktemp("kills"),
                    ORBIT_CRON_SCHEDULE="0 0 * * *",
                    **endpoint(sink.url),
                ) as running,
            ):
                yield running
                running.ready().stop()
                assert running.code() == 0
        finally:
            use_database(server, before)
            database.drop(server, name)


def start_cycle() -> CycleRun:
    return CycleRun.objects.get(
        pk=trigger.start(namespace="default", source=Trigger.COMMAND, actor=SYSTEM).cycle_id
    )


def ended(cycle: CycleRun) -> bool:
    cycle.refresh_from_db()
    return cycle.finished_at is not None


def run_one_cycle() -> None:
    cycle = start_cycle()
    until(lambda: ended(cycle), "the cycle did not end")
    assert cycle.status == "success"


def wait_until_replaced(running: Cluster, role: str, old_pids: list[int], *, count: int) -> None:
    """Wait until ``count`` other processes of ``role`` run instead of ``old_pids``."""

    def replaced() -> bool:
        pids = running.of(role)
        return len(pids) == count and not set(pids) & set(old_pids)

    until(replaced, f"the {role} was not replaced")


def delay_first_answer(seconds: float) -> Callable[[Socket], None]:
    number = itertools.count(1)

    def answer(sock: Socket) -> None:
        if next(number) == 1:
            time.sleep(seconds)
        sock.sendall(OK)

    return answer


def test_a_busy_worker_that_is_killed_loses_its_cycle_to_another(
    server: Server, committed: str, tmp_path: Path
) -> None:
    variables = {"ORBIT_LEASE_SECONDS": "2", "ORBIT_WORKERS": "1"}
    with (
        Receiver(delay_first_answer(30)) as sink,
        cluster(server, committed, tmp_path, **variables, **endpoint(sink.url)) as running,
    ):
        [old] = running.ready(workers=1).of("worker")
        cycle = start_cycle()
        until(lambda: sink.requests, "nothing was sent")
        processes.kill(old)
        until(lambda: ended(cycle), "no other worker resumed the cycle")
        assert cycle.status == "success"
        assert cycle.fencing_token >= 2
        assert len({request.headers["idempotency-key"] for request in sink.requests}) == 3
        assert DeliveryReceipt.objects.filter(status="delivered").count() == 3


def test_two_clusters_fire_each_tick_once(server: Server, committed: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    variables = {"ORBIT_CRON_SCHEDULE": "0 0 * * *"}
    with (
        Receiver() as sink,
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as first,
        cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as second,
    ):
        first.ready()
        second.ready()
        assert ClusterNode.objects.count() == 2
        assert Row.objects.filter(name="cycles").count() == 1
        for number in range(1, 4):
            rows(
                "UPDATE django_q_schedule SET next_run = date_trunc('minute', now())"
                " - %s * interval '1 hour' - interval '1 minute'"
                " WHERE name = 'cycles' RETURNING 1",
                4 - number,
            )
            until(
                lambda: (
                    not rows("SELECT 1 FROM django_q_schedule WHERE next_run < now()")
                    and not CronTick.objects.filter(outcome="due").exists()
                ),
                "the tick was not performed",
            )
        keys = list(CronTick.objects.values_list("tick_key", flat=True))
        assert len(keys) == len(set(keys)) >= 3
        started = CronTick.objects.filter(outcome="started").count()
        assert CycleRun.objects.count() == started


def test_a_wakeup_that_is_lost_or_doubled_changes_nothing(
    server: Server, committed: str, tmp_path: Path
) -> None:
    lost = start_cycle()
    OrmQ.objects.all().delete()
    with Receiver() as sink, cluster(server, committed, tmp_path, **endpoint(sink.url)) as running:
        until(lambda: ended(lost), "the cycle was not rescued")
        running.ready()
        doubled = start_cycle()
        for _ in range(20):
            queue.wake()
        until(lambda: ended(doubled), "the cycle with many wake-ups did not end")
        until(lambda: not queue.ready_wakeups(), "wake-ups are left")
        assert (
            len({request.headers["idempotency-key"] for request in sink.requests})
            == len(sink.requests)
            == 6
        )


def test_a_forged_queue_row_harms_no_worker(shared_cluster: Cluster) -> None:
    before = set(shared_cluster.ready().children())
    rows(
        "INSERT INTO django_q_ormq (key, payload, lock)"
        " VALUES ('orbit', 'forged', now() - interval '1 day') RETURNING 1"
    )
    run_one_cycle()
    assert OrmQ.objects.get(payload="forged").key == queue.BAD
    assert set(shared_cluster.children()) == before


def test_a_cluster_goes_on_by_itself_when_its_database_comes_back(
    server: Server, shared_cluster: Cluster
) -> None:
    before = set(shared_cluster.ready().children())
    run_one_cycle()
    name = connection.settings_dict["NAME"]
    connection.close()
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        owner.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        )
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        time.sleep(3)
        owner.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name))
        )
    run_one_cycle()
    assert set(shared_cluster.children()) == before


@pytest.mark.slow
def test_a_suspended_cluster_goes_on_with_the_same_processes(
    shared_cluster: Cluster,
) -> None:
    before = set(shared_cluster.ready().children())
    processes.kill_group(shared_cluster.process.pid, signal.SIGSTOP)
    time.sleep(12)
    processes.kill_group(shared_cluster.process.pid, signal.SIGCONT)
    run_one_cycle()
    time.sleep(1)
    assert set(shared_cluster.children()) == before


def test_a_killed_maintenance_process_is_replaced_and_due_ticks_go_on(
    shared_cluster: Cluster,
) -> None:
    [old] = shared_cluster.ready().of("maintenance")
    processes.kill(old)
    wait_until_replaced(shared_cluster, "maintenance", [old], count=1)
    rows("UPDATE django_q_schedule SET next_run = date_trunc('minute', now()) RETURNING 1")
    until(
        lambda: CronTick.objects.filter(outcome="started").count() == 1,
        "the tick was not performed",
    )
    assert ClusterNode.objects.count() == 1
    until(
        lambda: not CycleRun.objects.filter(finished_at__isnull=True).exists(),
        "the cycle of the tick did not end",
    )


@pytest.mark.slow
def test_a_suspended_worker_is_replaced_while_the_other_works(
    shared_cluster: Cluster,
) -> None:
    suspended, other = shared_cluster.ready().of("worker")
    processes.kill(suspended, signal.SIGSTOP)
    suspended_at = time.monotonic()
    run_one_cycle()
    until(
        lambda: len(workers := shared_cluster.of("worker")) == 2 and suspended not in workers,
        "the suspended worker was not replaced",
    )
    # Not sooner: a worker may be silent for ten seconds, of which up to two had passed.
    assert time.monotonic() - suspended_at > 8
    assert other in shared_cluster.of("worker")


def test_killed_idle_workers_do_not_keep_the_next_cycle_waiting(
    shared_cluster: Cluster,
) -> None:
    """A wake-up that died with a worker would come back only after 150 s."""
    shared_cluster.ready()
    for number in (1, 2, 2, 2):
        victims = shared_cluster.of("worker")[:number]
        for pid in victims:
            processes.kill(pid)
        run_one_cycle()
        wait_until_replaced(shared_cluster, "worker", victims, count=2)
