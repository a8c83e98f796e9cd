import os
import threading
import time
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
from orbit.models import ClusterNode, CronTick, CycleRun
from orbit_site.processes import maintenance
from orbit_site.processes.maintenance import Maintenance, PeriodicTask
from tests.support.configuration import active_cycle
from tests.support.pipeline import rows
from tests.support.polling import until


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    yield own
    own.drain(0)


@pytest.fixture
def tended(committed: str, process: WorkerState, settings: Any) -> Maintenance:
    settings.ORBIT_CRON_SCHEDULE = "0 0 * * *"
    return Maintenance(uuid7(), os.getpid())


def test_one_look_makes_the_schedules_the_sign_of_life_the_due_tick_and_the_wakeup(
    tended: Maintenance,
) -> None:
    CycleRun.objects.filter(pk=active_cycle().pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=5)
    )
    tended.tend(100.0)
    assert list(Row.objects.order_by("id").values_list("name", "repeats")) == [
        ("cycles", -1),
        ("run-profiles", 0),
    ]
    assert ClusterNode.objects.get().id == tended.node
    assert queue.ready_wakeups() == 1
    Row.objects.filter(name="cycles").update(next_run=datetime.now(UTC) - timedelta(seconds=1))
    tended.tend(100.5)
    assert not CronTick.objects.exists()
    tended.tend(101.1)
    assert CronTick.objects.get().outcome == "due"


def test_a_late_operation_run_is_woken(tended: Maintenance) -> None:
    run, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    OperationRun.objects.filter(pk=run.pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=9)
    )
    tended.tend(100.0)
    assert queue.tasks_wait()


def test_what_is_past_its_time_is_lifted_on_record(tended: Maintenance) -> None:
    halts.halt("default", actor=SYSTEM, until=datetime.now(UTC) + timedelta(hours=1))
    pauses.pause(actor=SYSTEM, reason="a fire", until=datetime.now(UTC) + timedelta(hours=1))
    past = datetime.now(UTC) - timedelta(seconds=1)
    Stop.objects.update(until=past, since=past - timedelta(seconds=9))
    GovernanceSetting.objects.update(until=past)
    tended.tend(100.0)
    assert not Stop.objects.filter(ended_at__isnull=True).exists()
    assert sorted(AuditTrailEntry.objects.order_by("-id").values_list("action", flat=True)[:2]) == [
        "namespace.resumed",
        "pause.lifted",
    ]


def test_a_halt_becomes_quiet(tended: Maintenance) -> None:
    halts.halt("default", actor=SYSTEM)
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=2))
    tended.tend(100.0)
    assert GovernanceSetting.objects.get(namespace__name="default").mode == "quiet"


def test_a_ring_at_the_gate_wakes_what_was_resumed_without_a_wait(
    committed: str, process: WorkerState, settings: Any
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    halts.halt("default", actor=SYSTEM)
    CycleRun.objects.filter(pk=active_cycle().pk).update(
        next_due_at=datetime.now(UTC) - timedelta(seconds=5)
    )
    thread = running(uuid7(), stopping=threading.Event(), alone=threading.Event())
    until_rows("SELECT 1 FROM orbit_clusternode")
    time.sleep(0.3)
    assert not queue.ready_wakeups()
    began = time.monotonic()
    halts.resume("default", actor=SYSTEM, reason="r")
    until_rows("SELECT 1 FROM django_q_ormq")
    assert time.monotonic() - began < 0.5
    process.drain(30)
    thread.join(5)
    assert not thread.is_alive()


def test_a_duty_that_fails_stops_no_other_and_is_tried_again(
    tended: Maintenance, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def broken() -> None:
        tries.append("broken")
        raise ZeroDivisionError("by zero")

    tended.duties = [
        PeriodicTask("It breaks", 1.0, broken),
        PeriodicTask("It works", 1.0, lambda: tries.append("works")),
    ]
    for now in (0.0, 0.5, 1.0):
        tended.tend(now)
    assert tries == ["broken", "works", "broken", "works"]
    assert caplog.text.count("It breaks: by zero") == 1


def test_an_hourly_duty_that_failed_is_tried_again_within_the_minute(tended: Maintenance) -> None:
    tries: list[float] = []

    def broken() -> None:
        tries.append(1)
        raise ZeroDivisionError

    tended.duties = [PeriodicTask("It breaks", maintenance.HOUR, broken)]
    for now in (0.0, 30.0, 61.0):
        tended.tend(now)
    assert len(tries) == 2


def test_a_database_that_is_away_is_waited_for_a_little_longer_each_time(
    tended: Maintenance,
) -> None:
    settings_dict = connections["default"].settings_dict
    tended.duties = [duty for duty in tended.duties if duty.every == maintenance.LIFE]
    connections["default"].close()
    host, settings_dict["HOST"] = settings_dict["HOST"], "/nowhere"
    pauses = []
    try:
        for now in range(6):
            tended.tend(float(now))
            pauses.append(tended.pause)
    finally:
        settings_dict["HOST"] = host
    assert pauses[0] == 1.0
    assert pauses[-1] == maintenance.LONGEST_BACK_OFF
    tended.tend(10.0)
    assert tended.pause == 1.0
    assert ClusterNode.objects.exists()


def running(node: Any, **states: Any) -> threading.Thread:
    def run() -> None:
        try:
            maintenance.run(
                node=node,
                supervisor=os.getpid(),
                stopping=lambda: states["stopping"].is_set(),
                alone=lambda: states["alone"].is_set(),
            )
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def until_rows(sql: str) -> None:
    until(lambda: rows(sql), sql)


def test_while_its_cluster_drains_the_row_says_so_and_it_goes_with_the_last_worker(
    committed: str, process: WorkerState, settings: Any
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    stopping, alone = threading.Event(), threading.Event()
    thread = running(uuid7(), stopping=stopping, alone=alone)
    until_rows("SELECT 1 FROM orbit_clusternode WHERE NOT draining")
    stopping.set()
    process.drain(30)
    until_rows("SELECT 1 FROM orbit_clusternode WHERE draining")
    alone.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not ClusterNode.objects.exists()


def test_a_keeper_that_is_asked_to_end_alone_ends_at_once_and_leaves_the_row_to_the_next(
    committed: str, process: WorkerState, settings: Any
) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    thread = running(uuid7(), stopping=threading.Event(), alone=threading.Event())
    until_rows("SELECT 1 FROM orbit_clusternode WHERE NOT draining")
    process.drain(30)
    thread.join(5)
    assert not thread.is_alive()
    assert ClusterNode.objects.get().draining is False


def test_the_audit_trails_signed_head_is_logged_at_the_start_and_once_a_day(
    tended: Maintenance, caplog: pytest.LogCaptureFixture
) -> None:
    tended.duties = [duty for duty in tended.duties if duty.every == maintenance.DAY]
    with caplog.at_level("INFO"):
        for now in (0.0, maintenance.DAY - 1, maintenance.DAY + 1):
            tended.tend(now)
    lines = [
        record.getMessage() for record in caplog.records if record.name == "governance.audit.head"
    ]
    assert len(lines) == 2
    assert [found.sequence for found in head.find(lines)] == [0, 0]


def test_a_duty_that_meets_the_lock_of_somebody_else_stops_no_other(tended: Maintenance) -> None:
    done: list[str] = []

    def locked() -> None:
        raise OperationalError("canceling statement due to lock timeout")

    tended.duties = [
        PeriodicTask("first", 1.0, locked),
        PeriodicTask("second", 1.0, lambda: done.append("second")),
    ]
    for now in (1000.0, 1002.0, 1004.0):
        tended.tend(now)
    assert len(done) == 3
