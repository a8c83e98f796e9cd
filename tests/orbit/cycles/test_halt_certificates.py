"""Halted cycles: what goes on, what is given back, what their certificate says."""

import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from governance.models import Stop
from governance.namespaces import halts, pauses, status
from orbit import interrupts
from orbit.cycles import cancel, detail, halt_certificates, lease
from orbit.interrupts import WorkerState
from orbit.models import CycleRun, DeliveryReceipt, DispatchJob
from orbit_site.processes.gate_monitor import GateMonitor
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")


def settled() -> None:
    """Let the command be long enough ago."""
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=5))


def left_behind(settings: Any, url: str) -> CycleRun:
    """Return a cycle whose worker has died with three attempts open, in a namespace that was halted then."""
    configure_endpoints(settings, default_endpoint=url)
    configure_profiles()
    cycle_id = start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    assert len(dispatch.claim_jobs(claimed_cycle, limit=16, worker="w")) == 3
    DeliveryReceipt.objects.update(started_at=datetime.now(UTC) - timedelta(seconds=10))
    halts.halt("a", actor=SYSTEM, reason="a flood")
    CycleRun.objects.filter(pk=cycle_id).update(
        lease_expires_at=datetime.now(UTC) - timedelta(seconds=1),
        next_due_at=datetime.now(UTC) - timedelta(seconds=1),
    )
    return CycleRun.objects.get(pk=cycle_id)


def test_what_a_lost_worker_left_open_is_closed_under_a_halt_and_then_it_is_quiet(settings) -> None:
    with Receiver(OK) as receiver:
        cycle = left_behind(settings, receiver.url)
        settled()
        assert halt_certificates.certify() == 0
        assert run_due(seconds=0.1) is None
        assert [halt_certificates.close_abandoned(), halt_certificates.close_abandoned()] == [1, 0]
        assert set(DeliveryReceipt.objects.values_list("status", flat=True)) == {"unknown"}
        assert set(DispatchJob.objects.values_list("status", flat=True)) == {"pending"}
        assert [halt_certificates.certify(), halt_certificates.certify()] == [1, 0]
        found = status.find("a", actor=SYSTEM)
        assert found.state == "quiet"
        assert found.certificate is not None
        assert (
            found.certificate["in_flight_count"],
            found.certificate["started_after_command"],
        ) == (3, 0)
        assert {one["outcome"] for one in found.certificate["in_flight"]} == {"unknown"}
        assert {one["cycle_run_id"] for one in found.certificate["in_flight"]} == {str(cycle.pk)}
        assert receiver.requests == []
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        assert run_cycle(cycle.pk).status == "success"
        assert len(receiver.requests) == 3


def test_a_live_workers_cycle_is_left_to_it(settings) -> None:
    with Receiver(OK) as receiver:
        cycle = left_behind(settings, receiver.url)
        later = datetime.now(UTC) + timedelta(seconds=60)
        CycleRun.objects.filter(pk=cycle.pk).update(lease_expires_at=later, next_due_at=later)
        settled()
        assert (halt_certificates.close_abandoned(), halt_certificates.certify()) == (0, 0)


def test_abandoned_attempts_of_a_running_namespace_are_left_to_the_next_claim(settings) -> None:
    with Receiver(OK) as receiver:
        left_behind(settings, receiver.url)
        halts.resume("a", actor=SYSTEM, reason="r")
        assert halt_certificates.close_abandoned() == 0


def test_two_maintenance_processes_at_once_close_them_once(settings) -> None:
    with Receiver(OK) as receiver:
        left_behind(settings, receiver.url)
        settled()
        found: list[int] = []

        def act() -> None:
            try:
                found.append(halt_certificates.close_abandoned())
                halt_certificates.certify()
            finally:
                connection.close()

        threads = [threading.Thread(target=act) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sum(found) == 1
        assert rows(
            "SELECT count(*) FROM orbit_executionrecord WHERE event = 'delivery_attempt'"
        ) == [(3,)]


def test_a_halt_of_an_idle_namespace_is_quiet_after_a_second_and_no_sooner() -> None:
    configure_profiles()
    halts.halt("a", actor=SYSTEM)
    assert halt_certificates.certify() == 0
    settled()
    assert halt_certificates.certify() == 1
    certificate = status.find("a", actor=SYSTEM).certificate
    assert certificate is not None
    assert (certificate["last_delivery_started_at"], certificate["in_flight"]) == (None, [])


def test_a_pause_is_quiet_once_nothing_is_in_flight_anywhere(settings) -> None:
    with Receiver(OK) as receiver:
        left_behind(settings, receiver.url)
        pauses.pause(actor=SYSTEM, reason="a fire")
        settled()
        assert halt_certificates.certify() == 0
        halt_certificates.close_abandoned()
        assert halt_certificates.certify() == 2
        found = pauses.read()
        assert found.quiet
        assert found.certificate is not None
        assert found.certificate["in_flight_count"] == 3


def test_a_halted_cycle_can_be_cancelled(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        halts.halt("a", actor=SYSTEM)
        assert run_due(seconds=0.1) is None
        cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")
        assert CycleRun.objects.get(pk=cycle_id).status == "cancelled"
        halts.resume("a", actor=SYSTEM, reason="r")
        run_due(seconds=0.1)
        assert receiver.requests == []


def slowly(sock: socket.socket) -> None:
    time.sleep(0.3)
    sock.sendall(OK)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch):
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    watching = GateMonitor()
    watching.start()
    until(lambda: own.watched, "no gate monitor looks")
    yield own
    watching.end()
    watching.join(5)


def test_a_halt_in_mid_delivery_gives_the_cycle_back_and_the_same_one_goes_on_at_resume(
    settings, watched: WorkerState
) -> None:
    with Receiver(slowly) as receiver:
        keys = {f"e{number:02}": receiver.url for number in range(20)}
        configure_endpoints(settings, **keys)
        configure_profiles(r1={"namespace": "a", "distribution_targets": sorted(keys)})
        cycle_id = start_cycle()

        def stop() -> None:
            try:
                until(lambda: len(receiver.requests) >= 5, "nothing is sent")
                halts.halt("a", actor=SYSTEM, reason="a flood")
            finally:
                connection.close()

        halter = threading.Thread(target=stop)
        halter.start()
        run_due(seconds=10)
        halter.join()
        sent = len(receiver.requests)
        assert sent < 60
        cycle = CycleRun.objects.get(pk=cycle_id)
        assert (cycle.status, cycle.lease_owner) == ("running", None)
        assert "a is halted since" in detail.read(cycle_id, actor=SYSTEM).stopped
        assert cycle.next_due_at is not None
        assert not DeliveryReceipt.objects.filter(status="sending").exists()
        ((event, message),) = rows(
            "SELECT event, message FROM orbit_executionrecord WHERE stage = 'governance'"
        )
        assert event == "stopped"
        assert re.fullmatch(
            r"a is halted since .* UTC by orbit: a flood\. Resume it to go on\.", message
        )
        until(halt_certificates.certify, "it isn't quiet")
        assert run_due(seconds=0.2) is None
        assert len(receiver.requests) == sent
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        assert run_cycle(cycle_id).status == "success"
        assert (
            len({request.headers["idempotency-key"] for request in receiver.requests})
            == len(receiver.requests)
            == 60
        )
        # What was stopped before it was sent has spent no retry.
        assert set(DispatchJob.objects.values_list("spent", flat=True)) <= {0, 1}
        assert DispatchJob.objects.filter(status="delivered").count() == 60


def test_halted_time_doesnt_count_against_the_stages_time(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 60
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        halts.halt("a", actor=SYSTEM)
        Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=3600))
        time.sleep(1.5)
        assert dispatch.load_progress(claimed_cycle).jobs.left() == pytest.approx(60, abs=1)
        halts.resume("a", actor=SYSTEM, reason="r")
        time.sleep(1.0)
        assert dispatch.load_progress(claimed_cycle).jobs.left() == pytest.approx(59, abs=0.9)
        lease.give_back([claimed_cycle], wait=0)
        assert run_cycle(cycle_id).status == "success"
