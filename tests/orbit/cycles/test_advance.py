"""Workers that die, wake late or meet each other: leases, the fence, resumes, parking."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.kernel import sql
from orbit import interrupts, tasks
from orbit.cycles import advance, cancel, finish, lease, runner, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, dead_letters
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
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")
YES = Response(200, None, "", b"ok", None, 1.0, True, b"ok")
NO = Response(500, None, "", b"no", None, 1.0, True, b"no")


def expire_lease(cycle_id: UUID) -> None:
    """Let a cycle's lease end, as time does when its worker is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now() WHERE id = %s",
            [cycle_id],
        )


def claim() -> ClaimedCycle:
    (claimed_cycle,) = lease.claim(1)
    return claimed_cycle


def test_fifty_triggers_at_once_make_one_cycle() -> None:
    configure_profiles()

    def trigger(_: int) -> bool:
        try:
            start_cycle()
        except CycleActive:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(16) as pool:
        successes = list(pool.map(trigger, range(50)))
    assert successes.count(True) == 1
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
        cycle_ids = [cycle_id for ids in pool.map(take, range(8)) for cycle_id in ids]
    assert len(cycle_ids) == len(set(cycle_ids)) == 12


def test_a_worker_whose_lease_was_taken_writes_nothing() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    zombie = claim()
    expire_lease(cycle_id)
    successor = claim()
    assert successor.token == zombie.token + 1
    with pytest.raises(Fenced):
        initiation.run(zombie)
    assert (
        rows("SELECT count(*) FROM orbit_cyclecheckpoint")
        == rows("SELECT count(*) FROM orbit_initiation")
        == rows("SELECT count(*) FROM orbit_executionrecord")
        == rows("SELECT count(*) FROM telemetry_telemetryevent")
        == [(0,)]
    )
    assert lease.renew([zombie]) == set()
    assert lease.give_back([zombie], wait=0) is None
    assert lease.renew([successor]) == {cycle_id}


def test_a_lease_protects_a_cycle_that_something_has_made_due() -> None:
    configure_profiles()
    start_cycle()
    claim()
    CycleRun.objects.update(next_due_at=Now())
    assert lease.claim(1) == []
    assert lease.claim_alone() == []


def test_the_lease_of_a_cycle_that_has_ended_is_neither_renewed_nor_given_back() -> None:
    configure_profiles()
    start_cycle()
    claimed_cycle = claim()
    finish.give_up(claimed_cycle, reason="parked", message="no progress")
    assert lease.renew([claimed_cycle]) == set()
    assert lease.give_back([claimed_cycle], wait=0) is None
    assert CycleRun.objects.get().next_due_at is None


def test_a_renewal_is_a_full_term_and_makes_the_cycle_due_at_its_end(settings) -> None:
    settings.ORBIT_LEASE_SECONDS = 60
    configure_profiles()
    cycle_id = start_cycle()
    claimed_cycle = claim()
    soon = datetime.now(UTC) + timedelta(seconds=5)
    CycleRun.objects.update(lease_expires_at=soon, next_due_at=soon)
    assert lease.renew([claimed_cycle]) == {cycle_id}
    renewed = CycleRun.objects.get()
    assert renewed.lease_expires_at == renewed.next_due_at
    assert renewed.lease_expires_at > soon + timedelta(seconds=20)


def test_a_cycle_started_when_it_was_claimed_first() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    claim()
    started_at = CycleRun.objects.get().started_at
    assert started_at is not None
    expire_lease(cycle_id)
    claim()
    assert CycleRun.objects.get().started_at == started_at


def test_the_end_of_a_lease_is_not_when_the_next_free_cycle_is_due() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    start_cycle("r1")
    claim()
    assert lease.next_due() is None
    free = start_cycle("r2")
    later = datetime.now(UTC) + timedelta(hours=1)
    CycleRun.objects.filter(pk=free).update(next_due_at=later)
    assert lease.next_due() == later


def test_the_cycle_that_is_due_for_longest_is_claimed_first() -> None:
    configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(3)})
    ids = [start_cycle(f"r{n}") for n in range(3)]
    for minutes, cycle_id in zip((1, 3, 2), ids, strict=True):
        CycleRun.objects.filter(pk=cycle_id).update(next_due_at=Now() - timedelta(minutes=minutes))
    assert [claim().id for _ in range(3)] == [ids[1], ids[2], ids[0]]


def test_a_cycle_that_was_resumed_twice_is_claimed_alone() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    claim()
    for _ in range(2):
        expire_lease(cycle_id)
        assert lease.claim_alone() == []
        assert claim().id == cycle_id
    expire_lease(cycle_id)
    assert lease.claim(1) == []
    assert [cycle.id for cycle in lease.claim_alone()] == [cycle_id]


def test_a_worker_that_waits_for_the_fence_sees_the_checkpoint() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    claimed_cycle = claim()
    expire_lease(cycle_id)
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        initiation.run(claimed_cycle)
        # The row is locked until the commit: SKIP LOCKED leaves it to its writer.
        assert pool.submit(lambda: (lease.claim(1), connection.close())[0]).result() == []
    assert dispatch.load_progress(claim()).initiation_id is not None


def test_a_resume_continues_after_the_last_checkpoint(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        initiation.run(claim())
        before = rows("SELECT stage, created_at FROM orbit_cyclecheckpoint ORDER BY 1")
        expire_lease(cycle_id)
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


def enqueue_and_claim(settings, receiver: Receiver) -> tuple[CycleProgress, list[ClaimedJob]]:
    """Return a cycle whose three deliveries have receipts and no answer yet."""
    configure_endpoints(settings, default_endpoint=receiver.url)
    configure_profiles()
    start_cycle()
    cycle_progress = dispatch.enqueue_deliveries(claim())
    return cycle_progress, dispatch.claim_jobs(cycle_progress.cycle)


def test_a_late_success_of_a_lost_worker_ends_the_job_and_its_failures_change_nothing(
    settings,
) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = enqueue_and_claim(settings, receiver)
        claimed_cycle = cycle_progress.cycle
        expire_lease(claimed_cycle.id)
        successor = claim()
        answers = [attempt.resolve(jobs[0], YES), attempt.resolve(jobs[1], NO)]
        with pytest.raises(Fenced):
            finish.save_results(cycle_progress, answers)
        assert dict(rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1")) == {
            "delivered": 1,
            "sending": 2,
        }
        assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'fenced'") == [(1,)]
        advance.run(successor, dispatch=dispatch.state(), worker="heir")
        assert run_cycle(claimed_cycle.id).status == "success"
    # The two open deliveries were sent again, under their keys. The delivered one was not.
    keys = {request.headers["idempotency-key"] for request in receiver.requests}
    assert keys == {str(job.delivery_id) for job in jobs[1:]}
    assert dict(rows("SELECT r.status, count(*) FROM orbit_deliveryreceipt r GROUP BY 1")) == {
        "delivered": 3,
        "unknown": 2,
    }


def test_a_late_success_ends_a_dead_letter_and_its_unsent_copy(settings) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(OK) as receiver:
        cycle_progress, jobs = enqueue_and_claim(settings, receiver)
        finish.save_results(
            cycle_progress,
            [
                attempt.resolve(job, Response(None, "timeout", "late", b"", None, 1.0, True, None))
                for job in jobs
            ],
        )
        assert dict(rows("SELECT status, count(*) FROM orbit_deadletterdispatch GROUP BY 1")) == {
            "open": 3
        }
        letter = rows("SELECT id FROM orbit_deadletterdispatch WHERE job_id = %s", jobs[0].job_id)[
            0
        ][0]
        copied_job = dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        claim()  # now another worker holds the cycle
        with pytest.raises(Fenced):
            finish.save_results(cycle_progress, [attempt.resolve(jobs[0], YES)])
    assert rows("SELECT status FROM orbit_dispatchjob WHERE id = %s", copied_job) == [
        ("cancelled",)
    ]
    assert rows("SELECT status FROM orbit_deadletterdispatch WHERE id = %s", letter) == [
        ("delivered_late",)
    ]
    assert rows("SELECT status FROM orbit_dispatchjob WHERE id = %s", jobs[0].job_id) == [
        ("delivered",)
    ]


def test_a_cycle_that_makes_no_progress_is_parked_after_five_resumes(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        poison_cycle = start_cycle("r1")
        claim()
        for _ in range(4):
            expire_lease(poison_cycle)
            claimed_cycles = lease.claim(1) or lease.claim_alone()
            assert advance.may_resume(claimed_cycles[0])
        expire_lease(poison_cycle)
        assert tasks.worker is not None
        with monkeypatch.context() as lone_worker:
            lone_worker.setattr(interrupts.process, "alone", True)
            assert runner.run_alone(tasks.worker)
        assert CycleRun.objects.get(pk=poison_cycle).reason == "parked"
        assert run_cycle(start_cycle("r2")).status == "success"
    assert rows("SELECT status FROM orbit_cyclerun WHERE id = %s", poison_cycle) == [("failed",)]
    assert rows("SELECT data ->> 'reason' FROM orbit_executionrecord WHERE event = 'given_up'") == [
        ("parked",)
    ]


def test_a_cleared_cycle_leaves_its_deliveries_and_the_next_suspected_one_runs(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        suspected = [start_cycle("r1"), start_cycle("r2")]
        CycleRun.objects.update(resumes=fence.ALONE_FROM)
        assert tasks.worker is not None
        with monkeypatch.context() as lone_worker:
            lone_worker.setattr(interrupts.process, "alone", True)
            assert runner.run_alone(tasks.worker)
        both = CycleRun.objects.filter(pk__in=suspected)
        assert (
            list(both.values_list("status", "resumes", "lease_owner")) == [("running", 0, None)] * 2
        )
        assert set(rows("SELECT status FROM orbit_dispatchjob")) == {("pending",)}
        assert receiver.requests == []
        run_due(seconds=10)
        assert {cycle.status for cycle in both.all()} == {"success"}


def resumes_after(claimed_cycle: ClaimedCycle, *, times: int) -> tuple[ClaimedCycle, int]:
    """Resume a cycle ``times`` times without progress; return it and the count of resumes."""
    for _ in range(times):
        expire_lease(claimed_cycle.id)
        (claimed_cycle,) = lease.claim(1) or lease.claim_alone()
        assert advance.may_resume(claimed_cycle)
    return claimed_cycle, CycleRun.objects.get(pk=claimed_cycle.id).resumes


def test_a_checkpoint_or_an_attempt_starts_the_count_of_resumes_anew(settings) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    claimed_cycle, resumes = resumes_after(claim(), times=4)
    assert resumes == 4
    dispatch.enqueue_deliveries(claimed_cycle)
    claimed_cycle, resumes = resumes_after(claimed_cycle, times=1)
    assert resumes == 1
    claimed_cycle, resumes = resumes_after(claimed_cycle, times=3)
    assert resumes == 4
    assert len(dispatch.claim_jobs(claimed_cycle, limit=1)) == 1
    claimed_cycle, resumes = resumes_after(claimed_cycle, times=1)
    assert resumes == 1
    # The same progress doesn't count twice.
    claimed_cycle, _ = resumes_after(claimed_cycle, times=3)
    expire_lease(claimed_cycle.id)
    (claimed_cycle,) = lease.claim_alone()
    assert not advance.may_resume(claimed_cycle)
    assert CycleRun.objects.get(pk=claimed_cycle.id).reason == "parked"


def test_a_drain_does_not_count_as_a_resume_and_gives_the_lease_back_at_once() -> None:
    configure_profiles()
    cycle_id = start_cycle()
    for _ in range(8):
        claimed_cycle = claim()
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
    assert cycle.next_due_at is not None
    assert due is not None
    assert abs((cycle.next_due_at - due).total_seconds()) < 10
    ((attempted_at,),) = rows("SELECT max(finished_at) FROM orbit_deliveryreceipt")
    assert 40 < (cycle.next_due_at - attempted_at).total_seconds() < 80


def test_cancel_works_at_once_on_a_running_cycle(settings) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = enqueue_and_claim(settings, receiver)
        claimed_cycle = cycle_progress.cycle
        cancel.cancel(claimed_cycle.id, actor=SYSTEM, reason="wrong payload")
        with pytest.raises(Fenced):
            finish.save_results(cycle_progress, [attempt.resolve(jobs[0], YES)])
        with pytest.raises(CycleFinished):
            cancel.cancel(claimed_cycle.id, actor=SYSTEM, reason="again")
        make_due(claimed_cycle.id)
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


def test_a_cancelled_cycle_with_nothing_in_flight_is_not_due_any_more(settings) -> None:
    with Receiver(OK) as receiver:
        cycle_progress, jobs = enqueue_and_claim(settings, receiver)
        # One has its answer, and the others wait for their next attempt.
        answers = [
            attempt.resolve(job, answer) for job, answer in zip(jobs, (YES, NO, NO), strict=True)
        ]
        finish.save_results(cycle_progress, answers)
        cancel.cancel(cycle_progress.cycle.id, actor=SYSTEM, reason="stop")
    assert CycleRun.objects.get().next_due_at is None


def make_due(cycle_id: UUID) -> None:
    """Let the time come at which the attempts of a cancelled cycle are closed."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", [cycle_id])


def test_a_slot_that_overruns_loses_its_lease_and_its_process_claims_nothing_more(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ORBIT_LEASE_SECONDS = 2
    release, ended = threading.Event(), threading.Event()
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    start_cycle("r1")

    def hang(claimed_cycle: ClaimedCycle, **_: object) -> None:
        interrupts.act(0.1)
        release.wait(60)
        ended.set()

    monkeypatch.setattr(advance, "run", hang)
    claimed_namespaces: set[str] = set()

    def claim_both() -> bool:
        claimed_namespaces.update(cycle.namespace for cycle in lease.claim(2))
        return claimed_namespaces == {"a", "b"}

    try:
        run_due(seconds=30)
        assert not ended.is_set()  # the runner didn't wait for the hung slot
        assert tasks.worker is not None
        assert tasks.worker.hung
        start_cycle("r2")
        until(claim_both, "the lease of the hung slot did not end")
    finally:
        release.set()


def test_a_connection_cut_in_mid_cycle_costs_nothing(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        send, cut = sql.send, []

        def send_and_cut(text: str, parameters: dict, **options: str) -> list:
            written = send(text, parameters, **options)
            thread = threading.current_thread().name
            if len(cut) < 6 and thread.startswith(("slot", "writer")):
                cut.append(text[:40])
                connection.close()
                raise OperationalError(
                    "server closed the connection: the answer to the commit is lost"
                )
            return written

        monkeypatch.setattr(sql, "send", send_and_cut)
        assert run_cycle(cycle_id).status == "success"
    assert len(cut) >= 5
    assert (
        len(receiver.requests)
        == len({request.headers["idempotency-key"] for request in receiver.requests})
        == 3
    )


@pytest.mark.parametrize("by_another", [True, False])
def test_a_lease_that_is_lost_while_the_database_is_away_is_on_record(
    monkeypatch: pytest.MonkeyPatch, *, by_another: bool
) -> None:
    configure_profiles()
    cycle_id = start_cycle()
    cycle = claim()

    def lose_lease(*_: object, **__: object) -> None:
        if by_another:
            expire_lease(cycle_id)
            with monkeypatch.context() as patch:
                patch.setattr(lease, "owner", lambda: "another")
                claim()
        else:
            lease.give_back([cycle], wait=60.0)
        raise OperationalError("the answer is lost")

    monkeypatch.setattr(stages, "run", lose_lease)
    assert advance.run(cycle, dispatch=dispatch.state(), worker="w") is None
    records = rows("SELECT 1 FROM orbit_executionrecord WHERE event = 'fenced'")
    assert bool(records) == by_another


def test_writes_that_fail_more_than_a_lease_apart_are_given_up_too(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_profiles()
    start_cycle()
    claimed_cycle = claim()
    failures = []

    def fail(*_: object, **__: object) -> float:
        failures.append(1)
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(advance, "_advance", fail)
    monkeypatch.setattr(advance, "MOST_FAILURES", 3)
    settings.ORBIT_LEASE_SECONDS = 0.05  # shorter than the pause between two tries
    assert advance.run(claimed_cycle, dispatch=dispatch.state(), worker="w") is None
    assert len(failures) == 3
