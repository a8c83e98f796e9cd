"""A received 2xx is never lost: not to another worker, a cancel, or a database that is away."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.models import AuditTrailEntry
from orbit import interrupts
from orbit.cycles import cancel, finish, lease
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, receipts
from orbit.dispatch.claim import ClaimedJob
from orbit.interrupts import Slot
from orbit.models import DeadLetterDispatch, DeliveryReceipt
from orbit.outbound.client import Response
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced
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
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
YES = Response(200, None, "", b"ok", None, 1.0, True, b"ok")


def start_sending(settings: Any, url: str) -> tuple[CycleProgress, list[ClaimedJob]]:
    configure_endpoints(settings, default_endpoint=url)
    configure_profiles()
    start_cycle()
    (cycle,) = lease.claim(1)
    return dispatch.enqueue_deliveries(cycle), dispatch.claim_jobs(cycle)


def resume_elsewhere(cycle: ClaimedCycle) -> None:
    """Let another worker have resumed the cycle and closed what was open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s",
            [cycle.id],
        )
    (resumed_cycle,) = lease.claim(1)
    cycle_progress = dispatch.load_progress(resumed_cycle)
    finish.save_results(cycle_progress, [attempt.abandon(job) for job in cycle_progress.abandoned])


def database_away(times: int, meanwhile: Any = None) -> Any:
    """Return a ``fence.run`` whose first ``times`` calls fail because the database is away."""
    real, failures = fence.run, [times]

    def run(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        if not failures[0]:
            return real(sql, parameters)
        failures[0] -= 1
        if not failures[0] and meanwhile:
            fence.run = real
            meanwhile()
            fence.run = run
        raise OperationalError("the server is away")

    return run


def test_a_success_outlives_an_outage_in_which_another_worker_closed_its_attempt(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = start_sending(settings, receiver.url)
        cycle = cycle_progress.cycle
        monkeypatch.setattr(fence, "run", database_away(1, lambda: resume_elsewhere(cycle)))
        with pytest.raises(Fenced):
            finish.save_results(cycle_progress, [attempt.resolve(job, YES) for job in jobs])
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]
    assert rows("SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1") == [
        ("delivered", 3)
    ]


def test_a_late_success_outlives_an_outage(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = start_sending(settings, receiver.url)
        cycle = cycle_progress.cycle
        resume_elsewhere(cycle)
        results = [attempt.resolve(job, YES) for job in jobs]
        monkeypatch.setattr(fence, "run", database_away(2))
        receipts.save_late_successes(cycle, results)
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]


def test_a_cancel_in_mid_wave_costs_none_of_the_successes_that_come_after_it(settings) -> None:
    order, go = iter(range(3)), threading.Event()

    def answer(sock: Any) -> None:
        place = next(order)
        if place:
            go.wait(60)
            time.sleep(0.1 * place)
        sock.sendall(OK)

    with Receiver(answer) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        slot = threading.Thread(target=lambda: (run_due(seconds=1), connection.close()))
        slot.start()
        until(
            lambda: rows("SELECT 1 FROM orbit_deliveryreceipt WHERE status = 'delivered'"),
            "no delivery came",
        )
        until(lambda: len(receiver.requests) == 3, "not all were sent")
        cancel.cancel(cycle_id, actor=SYSTEM, reason="stop")
        go.set()
        slot.join(60)
        assert not slot.is_alive()
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]


def test_a_slot_that_waits_for_the_database_with_answers_is_not_hung(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = start_sending(settings, receiver.url)
        cycle = cycle_progress.cycle
        slot = Slot()
        interrupts.enter(slot)
        interrupts.act(0.2)
        monkeypatch.setattr(fence, "run", database_away(3))
        finish.save_results(cycle_progress, [attempt.resolve(job, YES) for job in jobs])
        assert not slot.overrun
        assert run_cycle(cycle.id).status == "success"


def test_a_slot_that_waits_for_a_full_database_with_answers_is_not_hung(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = fence.run, iter(range(3))

    def full(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        if next(failures, None) is not None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "DO $$ BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; "
                    "END $$"
                )
        return real(sql, parameters)

    with Receiver(OK) as receiver:
        cycle_progress, jobs = start_sending(settings, receiver.url)
        cycle = cycle_progress.cycle
        slot = Slot()
        interrupts.enter(slot)
        interrupts.act(0.2)
        monkeypatch.setattr(fence, "run", full)
        finish.save_results(cycle_progress, [attempt.resolve(job, YES) for job in jobs])
        assert not slot.overrun
        assert run_cycle(cycle.id).status == "success"


def test_a_transaction_that_the_server_ended_while_idle_does_not_fail_the_cycle(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, cycles = audit.record, []

    def stand_still(action: Action, **entry: Any) -> None:
        if action == Action.DISPATCH_FAILED and not cycles:
            cycles.append(entry["object_id"])
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = '200ms'")
            time.sleep(0.8)
        real(action, **entry)

    monkeypatch.setattr(audit, "record", stand_still)
    with Receiver(http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert cycles == [str(cycle.pk)]
    assert cycle.status == "success"
    assert len(receiver.requests) == 4


def test_a_failure_that_is_retried_is_audited_and_leaves_no_letter(settings) -> None:
    with Receiver(http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert cycle.status == "success"
    assert not DeadLetterDispatch.objects.exists()
    entry = AuditTrailEntry.objects.get(action="dispatch.failed")
    failed = DeliveryReceipt.objects.get(status="failed")
    assert (entry.object_id, entry.namespace, entry.actor) == (str(cycle.pk), "a", "orbit")
    assert entry.after == {
        "attempts": 1,
        "jobs": [str(failed.job_id)],
        "causes": [{"endpoint_key": "default-endpoint", "cause": "status_500"}],
    }


def test_a_dead_letter_says_when_its_delivery_failed_first_and_last(settings) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 2
    with Receiver(http("500 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        run_cycle(start_cycle())
    for letter in DeadLetterDispatch.objects.all():
        ends = DeliveryReceipt.objects.filter(job=letter.job_id).order_by("attempt")
        first, _, last = ends.values_list("finished_at", flat=True)
        assert letter.first_failed_at == first
        assert letter.last_failed_at >= last - timedelta(seconds=1)
