"""Halted cycles: which attempts are closed, what is given back, what the certificate says."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.models import Stop
from governance.namespaces import halts, pauses, status
from orbit import interrupts
from orbit.cycles import advance, cancel, detail, halt_certificates, lease
from orbit.dispatch import loop
from orbit.dispatch.loop import Finished
from orbit.interrupts import Interrupted, Slot, WorkerState
from orbit.models import CycleRun, DeliveryReceipt, DispatchJob, EndpointState
from orbit.records import fence
from orbit.records.fence import Fenced, FencedWrite
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


@dataclass
class HaltedDelivery:
    """A cycle that was halted while its deliveries were in flight."""

    cycle_id: UUID
    receiver: Receiver


def age_stops() -> None:
    """Move the halts and pauses into the past, so that a certificate may be written."""
    Stop.objects.update(since=datetime.now(UTC) - timedelta(seconds=5))


def abandon_under_halt(settings: Any, url: str) -> CycleRun:
    """Return a cycle whose worker died with three open attempts, in a namespace halted since."""
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


def test_abandoned_attempts_are_closed_under_a_halt_and_then_it_is_quiet(settings) -> None:
    with Receiver(OK) as receiver:
        cycle = abandon_under_halt(settings, receiver.url)
        age_stops()
        assert halt_certificates.certify() == 0
        assert run_due(seconds=0.1) is None
        assert [halt_certificates.close_abandoned(), halt_certificates.close_abandoned()] == [1, 0]
        assert set(DeliveryReceipt.objects.values_list("status", "job__status")) == {
            ("unknown", "pending")
        }
        assert [halt_certificates.certify(), halt_certificates.certify()] == [1, 0]
        namespace = status.find("a", actor=SYSTEM)
        assert namespace.state == "quiet"
        certificate = namespace.certificate
        assert certificate is not None
        assert (certificate["in_flight_count"], certificate["started_after_command"]) == (3, 0)
        assert {
            (attempt["outcome"], attempt["cycle_run_id"]) for attempt in certificate["in_flight"]
        } == {("unknown", str(cycle.pk))}
        assert receiver.requests == []
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        assert run_cycle(cycle.pk).status == "success"
        assert len(receiver.requests) == 3


def test_maintenance_does_not_wait_for_a_database_that_goes_away_meanwhile(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        abandon_under_halt(settings, receiver.url)
        lost: list[FencedWrite] = []

        def lose(write: FencedWrite) -> None:
            lost.append(write)
            # A second try would wait: it is refused as if the cycle were another's.
            raise OperationalError("the server is away") if len(lost) == 1 else Fenced

        with monkeypatch.context() as patch:
            patch.setattr(fence, "commit", lose)
            with pytest.raises(OperationalError):
                halt_certificates.close_abandoned()
        CycleRun.objects.update(lease_expires_at=Now(), next_due_at=Now())
        assert halt_certificates.close_abandoned() == 1
        assert set(DeliveryReceipt.objects.values_list("status", flat=True)) == {"unknown"}


def test_a_live_worker_keeps_its_cycle_under_a_halt(settings) -> None:
    with Receiver(OK) as receiver:
        cycle = abandon_under_halt(settings, receiver.url)
        later = datetime.now(UTC) + timedelta(seconds=60)
        age_stops()
        for due in (later, datetime.now(UTC)):  # also if something has made it due meanwhile
            CycleRun.objects.filter(pk=cycle.pk).update(lease_expires_at=later, next_due_at=due)
            assert (halt_certificates.close_abandoned(), halt_certificates.certify()) == (0, 0)


@pytest.mark.parametrize("everywhere", [False, True])
def test_nothing_is_certified_while_a_worker_holds_a_cycle_without_an_attempt(
    everywhere: bool,
) -> None:
    configure_profiles()
    start_cycle()
    claimed_cycles = lease.claim(1)
    if everywhere:
        pauses.pause(actor=SYSTEM, reason="a fire")
    else:
        halts.halt("a", actor=SYSTEM)
    age_stops()
    assert halt_certificates.certify() == 0
    lease.give_back(claimed_cycles, wait=0)
    assert halt_certificates.certify() == 1


def test_work_in_another_namespace_does_not_delay_a_certificate(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        assert len(dispatch.claim_jobs(claimed_cycle)) == 3
        halts.halt("default", actor=SYSTEM)
        age_stops()
        assert halt_certificates.certify() == 1


def test_a_halt_that_has_expired_gets_no_certificate_any_more() -> None:
    halts.halt("default", actor=SYSTEM)
    age_stops()
    Stop.objects.update(until=datetime.now(UTC) - timedelta(seconds=1))
    assert halt_certificates.certify() == 0


def test_an_attempt_that_was_never_sent_is_no_delivery_after_the_command(settings) -> None:
    with Receiver(OK) as receiver:
        abandon_under_halt(settings, receiver.url)
        age_stops()
        unsent = DeliveryReceipt.objects.first()
        assert unsent is not None
        DeliveryReceipt.objects.filter(pk=unsent.pk).update(
            status="unsent", started_at=datetime.now(UTC), finished_at=datetime.now(UTC)
        )
        halt_certificates.close_abandoned()
        assert halt_certificates.certify() == 1
    certificate = status.find("a", actor=SYSTEM).certificate
    assert certificate is not None
    assert (certificate["in_flight_count"], certificate["started_after_command"]) == (3, 0)
    assert certificate["last_delivery_started_at"] < certificate["commanded_at"]


def test_abandoned_attempts_of_a_running_namespace_are_left_to_the_next_claim(settings) -> None:
    with Receiver(OK) as receiver:
        abandon_under_halt(settings, receiver.url)
        halts.resume("a", actor=SYSTEM, reason="r")
        assert halt_certificates.close_abandoned() == 0
        halts.halt("default", actor=SYSTEM)  # a halt elsewhere is no reason either
        assert halt_certificates.close_abandoned() == 0


def test_maintenance_processes_at_once_close_abandoned_attempts_once(settings) -> None:
    with Receiver(OK) as receiver:
        abandon_under_halt(settings, receiver.url)
        age_stops()
        counts: list[int] = []

        def maintain() -> None:
            try:
                counts.append(halt_certificates.close_abandoned())
                halt_certificates.certify()
            finally:
                connection.close()

        threads = [threading.Thread(target=maintain) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(counts) == 1
        assert rows(
            "SELECT count(*) FROM orbit_executionrecord WHERE event = 'delivery_attempt'"
        ) == [(3,)]


def test_a_halt_of_an_idle_namespace_is_quiet_after_a_second_and_no_sooner() -> None:
    configure_profiles()
    halts.halt("a", actor=SYSTEM)
    Stop.objects.update(since=datetime.now(UTC) + timedelta(seconds=60))
    assert halt_certificates.certify() == 0
    age_stops()
    assert halt_certificates.certify() == 1
    certificate = status.find("a", actor=SYSTEM).certificate
    assert certificate is not None
    assert (certificate["last_delivery_started_at"], certificate["in_flight"]) == (None, [])


def test_a_pause_is_quiet_once_nothing_is_in_flight_anywhere(settings) -> None:
    with Receiver(OK) as receiver:
        abandon_under_halt(settings, receiver.url)
        pauses.pause(actor=SYSTEM, reason="a fire")
        age_stops()
        assert halt_certificates.certify() == 0
        halt_certificates.close_abandoned()
        assert halt_certificates.certify() == 2
        pause = pauses.read()
        assert pause.quiet
        assert pause.certificate is not None
        assert pause.certificate["in_flight_count"] == 3


@pytest.mark.parametrize("limited", [False, True])
def test_no_delivery_is_claimed_after_a_halt_or_a_pause(settings, limited: bool) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    EndpointState.objects.update(max_concurrency=2 if limited else None)
    halts.halt("a", actor=SYSTEM)
    assert dispatch.claim_jobs(claimed_cycle) == []
    halts.resume("a", actor=SYSTEM, reason="r")
    pauses.pause(actor=SYSTEM, reason="a fire")
    assert dispatch.claim_jobs(claimed_cycle) == []
    pauses.unpause(actor=SYSTEM, reason="it is out")
    assert len(dispatch.claim_jobs(claimed_cycle)) == (2 if limited else 3)


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


@pytest.fixture
def worker_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    """The state of this process, whose gate monitor runs."""
    state = WorkerState()
    monkeypatch.setattr(interrupts, "process", state)
    monitor = GateMonitor()
    monitor.start()
    until(lambda: state.watched, "the gate monitor did not start")
    yield state
    monitor.end()
    monitor.join(60)


@contextmanager
def halt_in_mid_delivery(settings: Any, worker_state: WorkerState) -> Iterator[HaltedDelivery]:
    """Run a cycle of sixty deliveries, and halt its namespace before the first one is answered."""
    halted = threading.Event()

    def answer_after_halt(sock: socket.socket) -> None:
        halted.wait(60)
        sock.sendall(OK)

    with Receiver(answer_after_halt) as receiver:
        keys = {f"e{number:02}": receiver.url for number in range(20)}
        configure_endpoints(settings, **keys)
        configure_profiles(r1={"namespace": "a", "distribution_targets": sorted(keys)})
        cycle_id = start_cycle()

        def halt() -> None:
            try:
                until(lambda: len(receiver.requests) >= 5, "nothing was sent")
                halts.halt("a", actor=SYSTEM, reason="a flood")
                until(
                    lambda: all(slot.stopped for slot in worker_state.slots),
                    "the gate monitor did not see the halt",
                )
            finally:
                halted.set()
                connection.close()

        halter = threading.Thread(target=halt)
        halter.start()
        run_due(seconds=10)
        halter.join()
        yield HaltedDelivery(cycle_id, receiver)


def test_a_halt_in_mid_delivery_gives_the_cycle_back(
    settings: Any, worker_state: WorkerState
) -> None:
    with halt_in_mid_delivery(settings, worker_state) as delivery:
        assert len(delivery.receiver.requests) < 60
        cycle = CycleRun.objects.get(pk=delivery.cycle_id)
        assert (cycle.status, cycle.lease_owner) == ("running", None)
        assert cycle.next_due_at is not None
        assert "a is halted since" in detail.read(cycle.pk, actor=SYSTEM).overview.sentence
        assert not DeliveryReceipt.objects.filter(status="sending").exists()
        ((event, message),) = rows(
            "SELECT event, message FROM orbit_executionrecord WHERE stage = 'governance'"
        )
        assert event == "stopped"
        assert re.fullmatch(
            r"a is halted since .* UTC by orbit: a flood\. Resume it to go on\.", message
        )


def test_a_cycle_that_was_halted_in_mid_delivery_goes_on_at_resume(
    settings: Any, worker_state: WorkerState
) -> None:
    with halt_in_mid_delivery(settings, worker_state) as delivery:
        requests = delivery.receiver.requests
        sent_count = len(requests)
        until(halt_certificates.certify, "it did not become quiet")
        assert run_due(seconds=0.2) is None
        assert len(requests) == sent_count
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        assert run_cycle(delivery.cycle_id).status == "success"
        keys = {request.headers["idempotency-key"] for request in requests}
        assert len(keys) == len(requests) == 60
        # A delivery that was stopped before it was sent has spent no retry.
        assert set(DispatchJob.objects.values_list("spent", flat=True)) <= {0, 1}
        assert DispatchJob.objects.filter(status="delivered").count() == 60


def test_a_worker_that_ends_while_the_namespace_drains_records_no_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "process", WorkerState())
    configure_profiles(tiers={"1": {"transformer": "http", "options": {"url": "http://x.test/"}}})
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    halts.drain("a", actor=SYSTEM, reason="a release")
    interrupts.process.drain(0)
    assert advance.run(claimed_cycle, dispatch=dispatch.state(), worker="w") == 0.0
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'stopped'") == [(0,)]


def test_a_halted_cycle_does_not_end_by_its_stages_time(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = WorkerState()
    monkeypatch.setattr(interrupts, "process", state)
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    jobs = dispatch.enqueue_deliveries(claimed_cycle).jobs
    slot = state.open("a", read_at=interrupts.now())
    interrupts.enter(slot)
    slot.saw(is_open=False, read_at=interrupts.now())
    jobs.ends = time.monotonic() - 1
    with pytest.raises(Interrupted):
        loop.run(claimed_cycle, jobs, state=dispatch.state(), worker="w")
    slot.stopped = False
    assert isinstance(loop.run(claimed_cycle, jobs, state=dispatch.state(), worker="w"), Finished)
    interrupts.enter(Slot())


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
        assert 0 < dispatch.load_progress(claimed_cycle).jobs.left() < 59.1
        lease.give_back([claimed_cycle], wait=0)
        assert run_cycle(cycle_id).status == "success"
