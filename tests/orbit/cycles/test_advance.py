"""What holds when workers die, wake late, or meet each other: leases, the fence, resume, parking."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from orbit import interrupts, tasks
from orbit.cycles import advance, cancel, finish, lease
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt
from orbit.dispatch.claim import ClaimedJob
from orbit.errors import CycleActive, CycleFinished
from orbit.models import CycleRun
from orbit.outbound.client import Response
from orbit.pipeline import initiation
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
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")
YES = Response(200, None, "", b"ok", None, 1.0, True, b"ok")
NO = Response(500, None, "", b"no", None, 1.0, True, b"no")


def run_out(cycle_id: UUID) -> None:
    """Let the lease of a cycle have run out: what time does when a worker is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s",
            [cycle_id],
        )


def claimed(limit: int = 1) -> ClaimedCycle:
    (claimed_cycle,) = lease.claim(limit)
    return claimed_cycle


def test_fifty_triggers_at_once_make_one_cycle() -> None:
    configure_profiles()

    def attempt(_: int) -> bool:
        try:
            start_cycle()
        except CycleActive:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(attempt, range(50)))
    assert won.count(True) == 1
    assert CycleRun.objects.count() == 1
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'cycle_skipped'") == [
        (1,)
    ]


def test_two_claimers_never_get_the_same_cycle() -> None:
    configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(12)})
    for n in range(12):
        start_cycle(f"r{n}")

    def take(_: int) -> list[UUID]:
        try:
            return [claimed_cycle.id for claimed_cycle in lease.claim(3)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        taken = [cycle for found in pool.map(take, range(8)) for cycle in found]
    assert len(taken) == len(set(taken)) == 12


def test_a_worker_whose_lease_was_taken_writes_nothing() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    zombie = claimed()
    run_out(cycle_id)
    heir = claimed()
    assert heir.token == zombie.token + 1
    with pytest.raises(Fenced):
        initiation.run(zombie)
    assert (
        rows("SELECT count(*) FROM orbit_cyclecheckpoint")
        == rows("SELECT count(*) FROM orbit_initiation")
        == [(0,)]
    )
    assert lease.renew([zombie]) == set()
    assert lease.give_back([zombie], wait=0) is None
    assert lease.renew([heir]) == {cycle_id}


def test_a_worker_that_waits_for_the_fence_sees_the_checkpoint() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    claimed_cycle = claimed()
    run_out(cycle_id)
    with ThreadPoolExecutor(1) as pool:
        from django.db import transaction

        with transaction.atomic():
            initiation.run(claimed_cycle)
            # The row is locked until the commit: SKIP LOCKED leaves it to its writer.
            assert pool.submit(lambda: (lease.claim(1), connection.close())[0]).result() == []
    assert dispatch.load_progress(claimed()).initiation_id is not None


def test_a_resume_continues_after_the_last_checkpoint(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        initiation.run(claimed())
        before = rows("SELECT stage, created_at FROM orbit_cyclecheckpoint ORDER BY 1")
        run_out(cycle_id)
        assert run_cycle(cycle_id).status == "success"
    assert [
        row
        for row in rows("SELECT stage, created_at FROM orbit_cyclecheckpoint ORDER BY 1")
        if row in before
    ] == before
    assert rows(
        "SELECT count(*) FROM orbit_executionrecord WHERE event = 'initiation_created'"
    ) == [(1,)]
    assert len(receiver.requests) == 3


def _sending(settings, receiver: Receiver) -> tuple[CycleProgress, list[ClaimedJob]]:
    """A cycle whose three deliveries have their receipts and have not been answered."""
    configure_endpoints(settings, default_endpoint=receiver.url)
    configure_profiles()
    start_cycle()
    cycle_progress = dispatch.enqueue_deliveries(claimed())
    return cycle_progress, dispatch.claim_jobs(cycle_progress.cycle)


def test_a_late_success_of_a_lost_worker_ends_the_job_and_its_failures_change_nothing(
    settings,
) -> None:
    with Receiver(OK) as receiver:
        held, sendings = _sending(settings, receiver)
        claimed_cycle = held.cycle
        run_out(claimed_cycle.id)
        heir = claimed()
        answers = [attempt.resolve(sendings[0], YES), attempt.resolve(sendings[1], NO)]
        with pytest.raises(Fenced):
            finish.save_results(held, answers)
        assert dict(rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1")) == {
            "delivered": 1,
            "sending": 2,
        }
        assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'fenced'") == [(1,)]
        advance.run(heir, dispatch=dispatch.state(), worker="heir")
        assert run_cycle(claimed_cycle.id).status == "success"
    # The two that were open were sent again, under their keys; the one with a success never was.
    keys = {got.headers["idempotency-key"] for got in receiver.requests}
    assert keys == {str(sending.delivery_id) for sending in sendings[1:]}
    assert dict(rows("SELECT r.status, count(*) FROM orbit_deliveryreceipt r GROUP BY 1")) == {
        "delivered": 3,
        "unknown": 2,
    }


def test_a_late_success_ends_a_dead_letter_and_its_unsent_copy(settings) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(OK) as receiver:
        held, sendings = _sending(settings, receiver)
        finish.save_results(
            held,
            [
                attempt.resolve(
                    sending, Response(None, "timeout", "late", b"", None, 1.0, True, None)
                )
                for sending in sendings
            ],
        )
        assert dict(rows("SELECT status, count(*) FROM orbit_deadletterdispatch GROUP BY 1")) == {
            "open": 3
        }
        from orbit.dispatch import dead_letters

        letter = rows(
            "SELECT id FROM orbit_deadletterdispatch WHERE job_id = %s", sendings[0].job_id
        )[0][0]
        copy = dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        claimed()  # another worker holds the cycle now
        with pytest.raises(Fenced):
            finish.save_results(held, [attempt.resolve(sendings[0], YES)])
    assert rows("SELECT status FROM orbit_dispatchjob WHERE id = %s", copy) == [("cancelled",)]
    assert rows("SELECT status FROM orbit_deadletterdispatch WHERE id = %s", letter) == [
        ("delivered_late",)
    ]
    assert rows("SELECT status FROM orbit_dispatchjob WHERE id = %s", sendings[0].job_id) == [
        ("delivered",)
    ]


def test_a_cycle_that_makes_no_progress_is_parked_after_five_resumes(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        poisoned = start_cycle("r1")
        claimed()
        for _ in range(4):
            run_out(poisoned)
            claimed_cycles = lease.claim(1) or lease.claim(1, alone=True)
            assert advance.may_resume(claimed_cycles[0])
        run_out(poisoned)
        assert run_cycle(poisoned).reason == "parked"
        assert run_cycle(start_cycle("r2")).status == "success"
    assert rows("SELECT status FROM orbit_cyclerun WHERE id = %s", poisoned) == [("failed",)]
    assert rows("SELECT data ->> 'reason' FROM orbit_executionrecord WHERE event = 'given_up'") == [
        ("parked",)
    ]


def test_a_drain_does_not_count_as_a_resume_and_gives_the_lease_back_at_once() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    for _ in range(8):
        claimed_cycle = claimed()
        assert not claimed_cycle.resumed
        lease.give_back([claimed_cycle], wait=0)
    assert CycleRun.objects.get(pk=cycle_id).resumes == 0


def test_a_cycle_that_waits_for_a_retry_holds_no_worker(settings) -> None:
    with Receiver(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 60.0
        configure_profiles()
        cycle_id = start_cycle()
        due = run_due(seconds=2)
    cycle = CycleRun.objects.get(pk=cycle_id)
    assert (cycle.status, cycle.lease_owner) == ("running", None)
    assert (
        cycle.next_due_at is not None
        and due is not None
        and abs((cycle.next_due_at - due).total_seconds()) < 1
    )
    assert 40 < (cycle.next_due_at - cycle.started_at).total_seconds() < 80


def test_cancel_works_at_once_on_a_running_cycle(settings) -> None:
    with Receiver(OK) as receiver:
        held, sendings = _sending(settings, receiver)
        claimed_cycle = held.cycle
        cancel.cancel(claimed_cycle.id, actor=SYSTEM, reason="wrong payload")
        with pytest.raises(Fenced):
            finish.save_results(held, [attempt.resolve(sendings[0], YES)])
        with pytest.raises(CycleFinished):
            cancel.cancel(claimed_cycle.id, actor=SYSTEM, reason="again")
        run_out_due(claimed_cycle.id)
        assert run_cycle(claimed_cycle.id).status == "cancelled"
    assert receiver.requests == []
    assert dict(rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1")) == {
        "delivered": 1,
        "cancelled": 2,
    }
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]
    assert rows(
        "SELECT actor, reason FROM governance_audittrailentry WHERE action = 'cycle.cancelled'"
    ) == [("orbit", "wrong payload")]


def run_out_due(cycle_id: UUID) -> None:
    """Let the moment have come at which the attempts of a cancelled cycle are closed."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", [cycle_id])


def test_a_slot_that_overruns_loses_its_lease_and_its_process_claims_nothing_more(settings) -> None:
    settings.ORBIT_LEASE_SECONDS = 2
    released = threading.Event()
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    start_cycle("r1")
    original = advance.run

    def hang(claimed_cycle: ClaimedCycle, **_: object) -> None:
        interrupts.act(0.1)
        released.wait(20)

    advance.run = hang
    try:
        began = time.monotonic()
        run_due(seconds=30)
        assert time.monotonic() - began < 10
        assert tasks.worker is not None
        assert tasks.worker.hung
        start_cycle("r2")
        time.sleep(2)
        assert {claimed_cycle.namespace for claimed_cycle in lease.claim(2)} == {"a", "b"}
    finally:
        advance.run = original
        released.set()


def test_a_connection_cut_in_mid_cycle_costs_nothing(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        real, cut = fence.run, []

        def cutting(sql: str, parameters: dict) -> list:
            found = real(sql, parameters)
            if len(cut) < 6 and threading.current_thread().name.startswith("slot"):
                cut.append(sql[:40])
                connection.close()
                from django.db import OperationalError

                raise OperationalError("server closed the connection: the commit's answer was lost")
            return found

        fence.run = cutting
        try:
            assert run_cycle(cycle_id).status == "success"
        finally:
            fence.run = real
    assert len(cut) >= 5
    assert (
        len(receiver.requests)
        == len({got.headers["idempotency-key"] for got in receiver.requests})
        == 3
    )
