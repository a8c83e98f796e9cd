"""A cycle whose deliveries take too long ends; the deliveries go on."""

import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit.cycles import advance, cancel, finish, lease
from orbit.dispatch import attempt, dead_letters, receipts
from orbit.dispatch.claim import ClaimedJob
from orbit.errors import CycleFinished
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
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


def run_until_end(cycle_id: Any) -> CycleRun:
    """Run due cycles until this one has ended; its deliveries may still be open."""

    def finished_cycle() -> CycleRun | None:
        run_due(seconds=0.3)
        return CycleRun.objects.filter(pk=cycle_id, finished_at__isnull=False).first()

    cycle = until(finished_cycle, "the cycle did not end")
    assert cycle is not None
    return cycle


def make_deliveries_due() -> None:
    """Let the time of the waiting retries come."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orbit_dispatchjob SET next_attempt_at = now() WHERE status = 'pending'"
        )
        cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE next_due_at > now()")


def expire_leases() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()")


def test_a_cycle_ends_when_the_stages_time_is_over_and_its_retries_go_on(
    settings: Any,
) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 1.5
    with Receiver(OK, OK, http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 60, 60
        configure_profiles()
        first = start_cycle()
        cycle = run_until_end(first)
        assert cycle.status == "partial_success"
        assert cycle.next_due_at is not None
        assert cycle.stages[-1]["done"] == 2
        assert rows(
            "SELECT count(*) FROM orbit_executionrecord"
            " WHERE event = 'stage_deadline' AND level = 'warning'"
        ) == [(1,)]
        assert DispatchJob.objects.filter(status="pending").count() == 1
        # The namespace is free again while a delivery of the first cycle still waits.
        second = start_cycle()
        assert run_cycle(second).status == "success"
        make_deliveries_due()
        later = run_cycle(first)
    assert later.status == "partial_success"
    assert (later.stages, later.finished_at) == (cycle.stages, cycle.finished_at)
    assert DispatchJob.objects.filter(status="delivered").count() == 6
    assert rows(
        "SELECT data->>'delivered' FROM orbit_executionrecord WHERE event = 'late_deliveries_ended'"
    ) == [("3",)]
    assert (
        rows("SELECT stage, count(*) FROM orbit_cyclecheckpoint GROUP BY 1 HAVING count(*) <> 2")
        == []
    )


def test_a_delivery_that_outlives_its_cycle_becomes_a_dead_letter_when_retries_end(
    settings: Any,
) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.3
    # Nine failures: the tenth would open the circuit, wherever in a wave it comes.
    settings.ORBIT_MAX_DISPATCH_RETRIES = 2
    with Receiver(http("500 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 60, 60
        configure_profiles()
        cycle_id = start_cycle()
        assert run_until_end(cycle_id).status == "partial_success"
        assert DeadLetterDispatch.objects.count() == 0
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.05, 0.05
        make_deliveries_due()
        assert run_cycle(cycle_id).status == "partial_success"
    assert DeadLetterDispatch.objects.filter(reason="retries_exhausted").count() == 3
    assert len(receiver.requests) == 9


def test_the_stages_time_counts_from_the_enqueueing_even_if_the_worker_changes(
    settings: Any,
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    time.sleep(0.3)
    left = dispatch.load_progress(claimed_cycle).jobs.left()
    # At least the 0.3 s are gone. Not much more: a bound for a busy machine.
    assert (
        settings.ORBIT_DISPATCH_DEADLINE_SECONDS - 60
        < left
        < settings.ORBIT_DISPATCH_DEADLINE_SECONDS - 0.3
    )


def test_a_cycle_in_retry_ends_when_its_time_is_over_not_when_the_retry_is_due(
    settings: Any,
) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.5
    with Receiver(http("503 Later", headers=["Retry-After: 200"])) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_CAP = 300
        configure_profiles()
        cycle = run_until_end(start_cycle())
    # The retry is due 200 s after the answer. The cycle ended long before.
    assert cycle.next_due_at is not None
    assert cycle.finished_at is not None
    assert (cycle.next_due_at - cycle.finished_at).total_seconds() > 100


def test_an_abandoned_attempt_is_closed_even_if_a_late_success_has_ended_its_job(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        first, *_ = dispatch.claim_jobs(claimed_cycle, limit=1, worker="zombie")
        expire_leases()
        # The successor retries the job and dies; meanwhile the first worker reports its 2xx.
        (successor,) = lease.claim(1)
        progress = dispatch.load_progress(successor)
        finish.save_results(progress, [attempt.abandon(job) for job in progress.abandoned])
        retries = until(
            lambda: [
                job.attempt
                for job in dispatch.claim_jobs(successor, limit=9, worker="successor")
                if job.job_id == first.job_id
            ],
            "the job did not come due",
        )
        assert retries == [2]
        with pytest.raises(Fenced):
            receipts.commit(closing_write(claimed_cycle, first), [attempt.resolve(first, YES)])
        expire_leases()
        assert run_cycle(cycle_id).status == "success"
    assert rows(
        "SELECT attempt, status FROM orbit_deliveryreceipt WHERE job_id = %s ORDER BY 1",
        first.job_id,
    ) == [(1, "delivered"), (2, "unknown")]
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]


def closing_write(claimed_cycle: ClaimedCycle, job: ClaimedJob) -> fence.FencedWrite:
    """Return the write that closes this delivery as delivered."""
    write = fence.FencedWrite(
        claimed_cycle, finish.CLOSE_DELIVERIES.text, rows={"finishes": [], "ledger": []}
    )
    receipts.add_to(write, [attempt.resolve(job, YES)])
    return write


def test_a_cycle_that_ended_with_open_deliveries_cannot_be_cancelled(settings: Any) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.2
    with Receiver(http("500 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 60, 60
        configure_profiles()
        cycle_id = start_cycle()
        run_until_end(cycle_id)
        with pytest.raises(CycleFinished):
            cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")


def test_a_cycle_that_is_given_up_is_metered_once_with_its_deliveries(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        job = DispatchJob.objects.filter(cycle_id=cycle_id).first()
        assert job is not None
        DispatchJob.objects.filter(pk=job.pk).update(
            status="delivered", next_attempt_at=None, finished_at=Now()
        )
        finish.give_up(claimed_cycle, reason="parked", message="no progress")
        assert rows(
            "SELECT kind, tag, quantity, unit FROM orbit_valueledgerentry"
            " WHERE cycle_id = %s ORDER BY kind",
            cycle_id,
        ) == [("usage", "deliveries", 1, "delivery"), ("value", "kit", 1, "cycle")]
        finish.give_up(replace(claimed_cycle, status="failed"), reason="parked", message="again")
    assert rows("SELECT count(*) FROM orbit_valueledgerentry") == [(2,)]
    assert CycleRun.objects.get(pk=cycle_id).reason == "parked"


def test_a_requeue_while_the_last_delivery_is_closed_keeps_the_cycle_due(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        progress = dispatch.enqueue_deliveries(claimed_cycle)
        first, *others = dispatch.claim_jobs(claimed_cycle)
        gone = Response(410, None, "", b"gone", None, 1.0, True, b"gone")
        finish.save_results(progress, [attempt.resolve(first, gone)])
        letter = DeadLetterDispatch.objects.get()
        requeued_job = dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again")
        finish.save_results(progress, [attempt.resolve(job, YES) for job in others])
        ended = CycleRun.objects.get(pk=cycle_id)
        assert (ended.status, ended.lease_owner) == ("partial_success", None)
        assert ended.next_due_at is not None
        run_cycle(cycle_id)
    assert DispatchJob.objects.get(pk=requeued_job).status == "delivered"
    assert len(receiver.requests) == 1


def test_a_cycle_that_is_given_up_does_not_meter_its_requeued_deliveries(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        progress = dispatch.enqueue_deliveries(claimed_cycle)
        first, second, _ = dispatch.claim_jobs(claimed_cycle)
        gone = Response(410, None, "", b"gone", None, 1.0, True, b"gone")
        answers = [attempt.resolve(first, gone), attempt.resolve(second, YES)]
        finish.save_results(progress, answers)
        letter = DeadLetterDispatch.objects.get()
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again")
        reloaded = dispatch.load_progress(claimed_cycle)
        (copy,) = dispatch.claim_jobs(claimed_cycle)
        finish.save_results(reloaded, [attempt.resolve(copy, YES)])
        assert (reloaded.jobs.delivered, reloaded.jobs.dead) == (1, 1)
        # Nor does a worker that takes the cycle over count them for its outcome.
        jobs = dispatch.load_progress(claimed_cycle).jobs
        assert (jobs.delivered, jobs.dead, jobs.total) == (1, 1, 3)
        finish.give_up(claimed_cycle, reason="parked", message="no progress")
    assert DispatchJob.objects.filter(cycle_id=cycle_id, status="delivered").count() == 2
    assert rows("SELECT quantity FROM orbit_valueledgerentry WHERE tag = 'deliveries'") == [(1,)]


def test_attempts_that_had_an_answer_keep_it_if_the_cycle_is_given_up(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (claimed_cycle,) = lease.claim(1)
        progress = dispatch.enqueue_deliveries(claimed_cycle)
        first, *_ = dispatch.claim_jobs(claimed_cycle)
        no = Response(500, None, "", b"no", None, 1.0, True, b"no")
        finish.save_results(progress, [attempt.resolve(first, no)])
        finish.give_up(claimed_cycle, reason="parked", message="no progress")
    assert rows("SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1 ORDER BY 1") == [
        ("failed", 1),
        ("unknown", 2),
    ]
    assert rows("SELECT status_code FROM orbit_deliveryreceipt WHERE status = 'failed'") == [(500,)]


def test_an_attempt_that_got_its_answer_meanwhile_is_not_closed_as_unknown(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        first, *_ = dispatch.claim_jobs(claimed_cycle)
        expire_leases()
        (successor,) = lease.claim(1)
        progress = dispatch.load_progress(successor)
    progress.abandoned, progress.abandoned_receipts = [], [first.receipt_id]
    receipts.save_late_successes(claimed_cycle, [attempt.resolve(first, YES)])
    advance.close_abandoned(progress)
    assert rows("SELECT status FROM orbit_deliveryreceipt WHERE id = %s", first.receipt_id) == [
        ("delivered",)
    ]


def test_a_late_success_outlives_a_successor_that_closes_its_attempt_as_unknown(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        first, *_ = dispatch.claim_jobs(claimed_cycle)
        expire_leases()
        (successor,) = lease.claim(1)
        progress = dispatch.load_progress(successor)  # it sees three open attempts
    receipts.save_late_successes(claimed_cycle, [attempt.resolve(first, YES)])
    finish.save_results(progress, [attempt.abandon(job) for job in progress.abandoned])
    assert dict(rows("SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1")) == {
        "delivered": 1,
        "unknown": 2,
    }
