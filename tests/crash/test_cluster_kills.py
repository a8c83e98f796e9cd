"""What a cluster survives: every kind of death of its processes, and of its database, with real signals."""

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
from orbit_site.processes.postgres import Server
from tests.chaos.stand import point
from tests.support import database
from tests.support.clusters import Cluster, cluster, endpoint
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def standing(
    server: Server,
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """One cluster on a database of its own for the tests that leave a whole cluster behind; whatever befell it, it ends in good order."""
    before, name = connection.settings_dict["NAME"], f"orbit_kills_{os.getpid()}"
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        database.clone(server, name)
        point(server, name)
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
            point(server, before)
            database.drop(server, name)


def start_cycle() -> CycleRun:
    return CycleRun.objects.get(
        pk=trigger.start(namespace="default", source=Trigger.COMMAND, actor=SYSTEM).cycle_id
    )


def ended(cycle: CycleRun) -> bool:
    cycle.refresh_from_db()
    return cycle.finished_at is not None


def runs_within(seconds: float) -> CycleRun:
    cycle = start_cycle()
    until(lambda: ended(cycle), "the cycle didn't end", seconds=seconds)
    assert cycle.status == "success"
    return cycle


def replaced(running: Cluster, role: str, old: list[int], seconds: float, number: int) -> list[int]:
    def others() -> list[int]:
        found = running.of(role)
        return found if len(found) == number and not set(found) & set(old) else []

    return until(others, f"no other {role} came", seconds=seconds)


def first_slowly(seconds: float) -> Callable[[Socket], None]:
    asked: list[float] = []

    def answer(sock: Socket) -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            time.sleep(seconds)
        sock.sendall(OK)

    return answer


def test_a_busy_worker_that_is_killed_loses_its_cycle_to_another(
    server: Server, committed: str, tmp_path: Path
) -> None:
    variables = {"ORBIT_LEASE_SECONDS": "2", "ORBIT_WORKERS": "1"}
    with (
        Receiver(first_slowly(30)) as sink,
        cluster(server, committed, tmp_path, **variables, **endpoint(sink.url)) as running,
    ):
        [old] = running.ready(workers=1).of("worker")
        cycle = start_cycle()
        until(lambda: sink.requests, "nothing was sent")
        os.kill(old, signal.SIGKILL)
        until(lambda: ended(cycle), "no other worker resumed it")
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
        cluster(server, committed, folders[0], **variables, **endpoint(sink.url)) as one,
        cluster(server, committed, folders[1], **variables, **endpoint(sink.url)) as two,
    ):
        one.ready()
        two.ready()
        assert ClusterNode.objects.count() == 2
        assert Row.objects.filter(name="cycles").count() == 1
        for number in range(1, 4):
            rows(
                "UPDATE django_q_schedule SET next_run = date_trunc('minute', now()) - %s * interval '1 hour' - interval '1 minute' "
                "WHERE name = 'cycles' RETURNING 1",
                4 - number,
            )
            until(
                lambda: (
                    not rows("SELECT 1 FROM django_q_schedule WHERE next_run < now()")
                    and not CronTick.objects.filter(outcome="due").exists()
                ),
                "the tick wasn't done",
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
        until(lambda: ended(doubled), "the doubled cycle didn't end")
        until(lambda: not queue.ready_wakeups(), "wake-ups are left")
        assert (
            len({request.headers["idempotency-key"] for request in sink.requests})
            == len(sink.requests)
            == 6
        )


def test_a_row_that_names_a_strange_function_harms_no_worker(standing: Cluster) -> None:
    before = set(standing.ready().children())
    rows(
        "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('orbit', 'forged', now() - interval '1 day') RETURNING 1"
    )
    runs_within(3)
    assert OrmQ.objects.get(payload="forged").key == queue.BAD
    assert set(standing.children()) == before


def test_a_database_that_goes_away_and_comes_back_needs_no_hand(
    server: Server, standing: Cluster
) -> None:
    before = set(standing.ready().children())
    runs_within(3)
    name = connection.settings_dict["NAME"]
    connection.close()
    with psycopg.connect(server.url("orbit_owner", "postgres"), autocommit=True) as owner:
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
    runs_within(4)
    assert set(standing.children()) == before


@pytest.mark.slow
def test_a_cluster_that_was_stopped_as_a_whole_goes_on_with_the_same_processes(
    standing: Cluster,
) -> None:
    before = set(standing.ready().children())
    os.killpg(standing.process.pid, signal.SIGSTOP)
    time.sleep(12)
    os.killpg(standing.process.pid, signal.SIGCONT)
    runs_within(3)
    time.sleep(1)
    assert set(standing.children()) == before


def test_a_killed_maintenance_process_is_replaced_and_due_ticks_go_on(standing: Cluster) -> None:
    [old] = standing.ready().of("maintenance")
    os.kill(old, signal.SIGKILL)
    replaced(standing, "maintenance", [old], 3, 1)
    rows("UPDATE django_q_schedule SET next_run = date_trunc('minute', now()) RETURNING 1")
    until(lambda: CronTick.objects.filter(outcome="started").count() == 1, "the tick didn't fire")
    assert ClusterNode.objects.count() == 1


@pytest.mark.slow
def test_a_stopped_worker_is_killed_and_replaced_within_twelve_seconds_while_the_other_works(
    standing: Cluster,
) -> None:
    stopped, other = standing.ready().of("worker")
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    runs_within(3)
    until(
        lambda: len(workers := standing.of("worker")) == 2 and stopped not in workers,
        "the stopped worker wasn't replaced",
    )
    assert 8 < time.monotonic() - began < 13
    assert other in standing.of("worker")


def test_idle_workers_that_are_killed_delay_the_next_cycle_by_less_than_two_seconds(
    standing: Cluster,
) -> None:
    standing.ready()
    for number in (1, 2, 2, 2):
        victims = standing.of("worker")[:number]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        runs_within(2)
        replaced(standing, "worker", victims, 10, 2)
