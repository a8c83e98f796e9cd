import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django_q.models import Schedule as Row

from governance.access.actors import SYSTEM
from governance.audit import head
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, GovernanceSetting, OperationRun, Stop
from governance.namespaces import halts, pauses
from governance.operations import ledger
from orbit import interrupts, queue
from orbit.interrupts import WorkerState
from orbit.models import ClusterNode, CronTick, CycleRun, EndpointSnapshot
from orbit_site.processes import maintenance
from orbit_site.processes.maintenance import Maintenance, PeriodicTask
from orbit_site.processes.postgres import Server
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.read_only import read_only


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    yield own
    own.drain(0)


@pytest.fixture
def periodic(committed: str, process: WorkerState, settings: Any) -> Iterator[Maintenance]:
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    periodic = Maintenance(uuid7(), os.getpid())
    yield periodic
    end_threads(periodic)


def end_threads(*several: Maintenance) -> None:
    for periodic in several:
        periodic.forwarder.end(30)
        periodic.conductor.end(30)
        periodic.alerts.end(30)


def test_one_run_writes_the_schedules_the_heartbeat_the_due_tick_and_the_wake_up(
    periodic: Maintenance,
) -> None:
    CycleRun.objects.filter(pk=active_cycle().pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=5)
    )
    periodic.run_due(100.0)
    assert list(Row.objects.order_by("id").values_list("name", "repeats")) == [
        ("cycles", -1),
        ("run-profiles", 0),
    ]
    assert ClusterNode.objects.get().id == periodic.node
    assert queue.ready_wakeups() == 1
    Row.objects.filter(name="cycles").update(next_run=datetime.now(UTC) - timedelta(seconds=1))
    periodic.run_due(100.5)
    assert not CronTick.objects.exists()
    periodic.run_due(101.1)
    assert CronTick.objects.get().outcome == "due"


def test_a_lost_schedule_comes_again_and_ticks(periodic: Maintenance) -> None:
    periodic.run_due(100.0)
    Row.objects.all().delete()
    periodic.run_due(100.0 + maintenance.RECONCILE_SECONDS)
    Row.objects.filter(name="cycles").update(next_run=datetime.now(UTC) - timedelta(seconds=1))
    periodic.run_due(102.0 + maintenance.RECONCILE_SECONDS)
    assert CronTick.objects.get().outcome == "due"


def test_a_lost_endpoint_comes_again(periodic: Maintenance, settings: Any) -> None:
    configure_endpoints(settings, one="http://127.0.0.1:1/")
    periodic.run_due(100.0)
    EndpointSnapshot.objects.all().delete()
    periodic.run_due(100.0 + maintenance.MINUTE)
    assert EndpointSnapshot.objects.exists()


def test_of_two_configurations_the_newest_clusters_counts_and_they_take_no_turns(
    periodic: Maintenance, settings: Any
) -> None:
    periodic.run_due(100.0)
    settings.ORBIT_CRON_SCHEDULE = "0 6 * * *"
    newer = Maintenance(uuid7(), os.getpid())
    newer.run_due(200.0)
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    periodic.run_due(200.0)
    assert Row.objects.get(name="cycles").cron == "0 6 * * *"
    # A row that was lost and comes again doesn't make its cluster the newest.
    ClusterNode.objects.filter(pk=periodic.node).delete()
    periodic.run_due(250.0)
    assert ClusterNode.objects.filter(pk=periodic.node).exists()
    assert Row.objects.get(name="cycles").cron == "0 6 * * *"
    ClusterNode.objects.filter(pk=newer.node).delete()
    periodic.run_due(300.0)
    assert Row.objects.get(name="cycles").cron == "0 0 * * *"
    end_threads(newer)


def test_what_was_done_is_done_again_after_a_lost_connection(
    periodic: Maintenance, committed: str, server: Server
) -> None:
    done: list[str] = []
    periodic.tasks = [
        PeriodicTask("It reads", 1.0, lambda: rows("SELECT 1")),
        PeriodicTask("It works", maintenance.HOUR, lambda: done.append("hourly")),
    ]
    periodic.run_due(0.0)
    connections["default"].connection.close()
    periodic.run_due(1.0)
    periodic.run_due(2.0)
    periodic.run_due(3.0)
    assert done == ["hourly", "hourly"]


def test_on_a_read_only_server_the_tasks_wait_and_then_go_on(
    periodic: Maintenance, committed: str, server: Server
) -> None:
    periodic.tasks = [
        task for task in periodic.tasks if task.every == maintenance.HEARTBEAT_SECONDS
    ]
    done: list[str] = []
    periodic.tasks.append(PeriodicTask("It works", 1.0, lambda: done.append("other")))
    with read_only(server, committed):
        for now in range(6):
            periodic.run_due(float(now))
        assert (periodic.pause, done) == (maintenance.LONGEST_BACKOFF_SECONDS, [])
    periodic.run_due(10.0)
    assert (periodic.pause, done) == (1.0, ["other"])
    assert ClusterNode.objects.exists()


def test_a_late_operation_run_is_woken(periodic: Maintenance) -> None:
    run, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    OperationRun.objects.filter(pk=run.pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=9)
    )
    periodic.run_due(100.0)
    assert queue.tasks_wait()


def test_an_expired_stop_is_lifted_and_audited(periodic: Maintenance) -> None:
    halts.halt("default", actor=SYSTEM, until=datetime.now(UTC) + timedelta(hours=1))
    pauses.pause(actor=SYSTEM, reason="a fire", until=datetime.now(UTC) + timedelta(hours=1))
    past = datetime.now(UTC) - timedelta(seconds=1)
    Stop.objects.update(until=past, since=past - timedelta(seconds=9))
    GovernanceSetting.objects.update(until=past)
    periodic.run_due(100.0)
    assert not Stop.objects.filter(ended_at__isnull=True).exists()
    assert sorted(AuditTrailEntry.objects.order_by("-id").values_list("action", flat=True)[:2]) == [
        "namespace.resumed",
        "pause.lifted",
    ]


def test_a_halt_becomes_quiet(periodic: Maintenance) -> None:
    halts.halt("default", actor=SYSTEM)
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=2))
    periodic.run_due(100.0)
    assert GovernanceSetting.objects.get(namespace__name="default").mode == "quiet"


def test_a_notification_of_the_gate_runs_the_tasks_of_the_gate_at_once(
    committed: str, process: WorkerState, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    # Without a notification, the tasks would run again in ten minutes.
    monkeypatch.setattr(maintenance, "SECOND", 600.0)
    halts.halt("default", actor=SYSTEM)
    CycleRun.objects.filter(pk=active_cycle().pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=5)
    )
    thread = running(uuid7(), stopping=threading.Event(), workers_gone=threading.Event())
    until_rows("SELECT 1 FROM orbit_clusternode")
    until_rows(
        "SELECT 1 FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
    )
    assert not queue.ready_wakeups()
    halts.resume("default", actor=SYSTEM, reason="r")
    until_rows("SELECT 1 FROM django_q_ormq")
    process.drain(30)
    thread.join(60)
    assert not thread.is_alive()


def test_a_task_that_fails_stops_no_other_and_is_tried_again(
    periodic: Maintenance, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def broken() -> None:
        tries.append("broken")
        raise ZeroDivisionError("by zero")

    periodic.tasks = [
        PeriodicTask("It breaks", 1.0, broken),
        PeriodicTask("It works", 1.0, lambda: tries.append("works")),
    ]
    for now in (0.0, 0.5, 1.0):
        periodic.run_due(now)
    assert tries == ["broken", "works", "broken", "works"]
    assert caplog.text.count("It breaks: by zero") == 1


def test_an_hourly_task_that_failed_is_tried_again_after_a_minute(periodic: Maintenance) -> None:
    tries: list[float] = []

    def broken() -> None:
        tries.append(1)
        raise ZeroDivisionError

    periodic.tasks = [PeriodicTask("It breaks", maintenance.HOUR, broken)]
    for now in (0.0, 30.0, 61.0):
        periodic.run_due(now)
    assert len(tries) == 2


def test_the_wait_for_a_database_that_is_down_grows(
    periodic: Maintenance,
) -> None:
    settings_dict = connections["default"].settings_dict
    periodic.tasks = [
        task for task in periodic.tasks if task.every == maintenance.HEARTBEAT_SECONDS
    ]
    connections["default"].close()
    host, settings_dict["HOST"] = settings_dict["HOST"], "/nowhere"
    pauses = []
    try:
        for now in range(6):
            periodic.run_due(float(now))
            pauses.append(periodic.pause)
    finally:
        settings_dict["HOST"] = host
    assert pauses[0] == 1.0
    assert pauses[-1] == maintenance.LONGEST_BACKOFF_SECONDS
    periodic.run_due(10.0)
    assert periodic.pause == 1.0
    assert ClusterNode.objects.exists()


def running(node: Any, **states: Any) -> threading.Thread:
    def run() -> None:
        try:
            maintenance.run(
                node=node,
                supervisor=os.getpid(),
                stopping=lambda: states["stopping"].is_set(),
                workers_gone=lambda: states["workers_gone"].is_set(),
                request_lone_worker=lambda: None,
            )
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def until_rows(sql: str) -> None:
    until(lambda: rows(sql), sql)


def test_the_row_says_that_the_cluster_drains_and_is_deleted_after_the_last_worker(
    committed: str, process: WorkerState, settings: Any
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    stopping, workers_gone = threading.Event(), threading.Event()
    thread = running(uuid7(), stopping=stopping, workers_gone=workers_gone)
    until_rows("SELECT 1 FROM orbit_clusternode WHERE NOT draining")
    stopping.set()
    process.drain(30)
    until_rows("SELECT 1 FROM orbit_clusternode WHERE draining")
    workers_gone.set()
    thread.join(60)
    assert not thread.is_alive()
    assert not ClusterNode.objects.exists()


def test_a_process_that_is_ended_alone_leaves_the_row_to_the_next_one(
    committed: str, process: WorkerState, settings: Any
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    thread = running(uuid7(), stopping=threading.Event(), workers_gone=threading.Event())
    until_rows("SELECT 1 FROM orbit_clusternode WHERE NOT draining")
    process.drain(30)
    thread.join(60)
    assert not thread.is_alive()
    assert ClusterNode.objects.get().draining is False


def test_the_audit_trails_signed_head_is_logged_at_the_start_and_once_a_day(
    periodic: Maintenance, caplog: pytest.LogCaptureFixture
) -> None:
    periodic.tasks = [task for task in periodic.tasks if task.every == maintenance.DAY]
    with caplog.at_level("INFO"):
        for now in (0.0, maintenance.DAY - 1, maintenance.DAY + 1):
            periodic.run_due(now)
    lines = [
        record.getMessage() for record in caplog.records if record.name == "governance.audit.head"
    ]
    assert len(lines) == 2
    assert [logged_head.sequence for logged_head in head.find(lines)] == [0, 0]


def test_a_task_that_meets_a_held_lock_stops_no_other(periodic: Maintenance) -> None:
    done: list[str] = []

    def locked() -> None:
        raise OperationalError("canceling statement due to lock timeout")

    periodic.tasks = [
        PeriodicTask("first", 1.0, locked),
        PeriodicTask("second", 1.0, lambda: done.append("second")),
    ]
    for now in (1000.0, 1002.0, 1004.0):
        periodic.run_due(now)
    assert len(done) == 3
