"""A 2xx that was received is never lost: not to a takeover, not to a cancel, not to a database that is away."""

import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection

from governance.access.actors import SYSTEM
from orbit import interrupts
from orbit.cycles import cancel, finish, lease
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, receipts
from orbit.dispatch.claim import ClaimedJob
from orbit.interrupts import Slot
from orbit.outbound.client import Answer
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
YES = Answer(200, None, "", b"ok", None, 1.0, True, b"ok")


def sending(settings: Any, url: str) -> tuple[CycleProgress, list[ClaimedJob]]:
    configure_endpoints(settings, default_endpoint=url)
    configure_profiles()
    start_cycle()
    (cycle,) = lease.claim(1)
    return dispatch.enqueue_deliveries(cycle), dispatch.claim_jobs(cycle)


def takeover(work: ClaimedCycle) -> None:
    """Let another worker have resumed the cycle and closed what was open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s",
            [work.id],
        )
    (heir,) = lease.claim(1)
    found = dispatch.load_progress(heir)
    finish.save_results(found, [attempt.abandon(sending) for sending in found.abandoned])


def failing(times: int, meanwhile: Any = None) -> Any:
    """Stand before the database: the first ``times`` statements find it away."""
    real, left = fence.run, [times]

    def run(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        if not left[0]:
            return real(sql, parameters)
        left[0] -= 1
        if not left[0] and meanwhile:
            fence.run = real
            meanwhile()
            fence.run = run
        raise OperationalError("the server is away")

    return run


def test_a_success_outlives_an_outage_in_which_another_worker_closed_its_attempt(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        held, wave = sending(settings, receiver.url)
        work = held.cycle
        monkeypatch.setattr(fence, "run", failing(1, lambda: takeover(work)))
        with pytest.raises(Fenced):
            finish.save_results(held, [attempt.resolve(one, YES) for one in wave])
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]
    assert rows("SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1") == [
        ("delivered", 3)
    ]


def test_a_success_outlives_an_outage_while_a_lost_worker_brings_it_home(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        held, wave = sending(settings, receiver.url)
        work = held.cycle
        takeover(work)
        closed = [attempt.resolve(one, YES) for one in wave]
        monkeypatch.setattr(fence, "run", failing(2))
        receipts.save_late_successes(work, closed)
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]


def test_a_cancel_in_mid_wave_costs_none_of_the_successes_that_come_after_it(settings) -> None:
    order, go = iter(range(3)), threading.Event()

    def answer(sock: Any) -> None:
        place = next(order)
        if place:
            go.wait(10)
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
        slot.join(20)
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("delivered", 3)]
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]


def test_a_lane_that_holds_answers_for_an_absent_database_does_not_count_as_hung(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        held, wave = sending(settings, receiver.url)
        work = held.cycle
        slot = Slot()
        interrupts.enter(slot)
        interrupts.act(0.2)
        monkeypatch.setattr(fence, "run", failing(3))
        finish.save_results(held, [attempt.resolve(one, YES) for one in wave])
        assert not slot.overrun
        assert run_cycle(work.id).status == "success"


def test_nor_does_one_whose_database_has_no_room_left(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = fence.run, iter(range(3))

    def full(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        if next(left, None) is not None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "DO $$ BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$"
                )
        return real(sql, parameters)

    with Receiver(OK) as receiver:
        held, wave = sending(settings, receiver.url)
        work = held.cycle
        slot = Slot()
        interrupts.enter(slot)
        interrupts.act(0.2)
        monkeypatch.setattr(fence, "run", full)
        finish.save_results(held, [attempt.resolve(one, YES) for one in wave])
        assert not slot.overrun
        assert run_cycle(work.id).status == "success"


def test_a_transaction_that_the_server_ended_in_a_standstill_is_no_verdict_on_the_cycle(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, stood = receipts._audit_failures, []

    def stand_still(work: ClaimedCycle, failed: Any) -> None:
        if not stood:
            stood.append(work.id)
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = '200ms'")
            time.sleep(0.8)
        real(work, failed)

    monkeypatch.setattr(receipts, "_audit_failures", stand_still)
    with Receiver(http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    assert stood == [cycle.pk]
    assert cycle.status == "success"
    assert len(receiver.requests) == 4
