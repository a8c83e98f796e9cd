"""A requeued job whose cycle ends before it is delivered is a dead letter again."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.cycles import cancel, finish, lease
from orbit.dispatch import dead_letters
from orbit.models import DeadLetterDispatch, DispatchJob
from tests.support import dispatch
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def running(settings: Any) -> tuple[UUID, UUID]:
    """A cycle that waits for its retries, and the job requeued from its one dead letter."""
    with Receiver(http("410 Gone"), http("503 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 60
        configure_profiles()
        cycle_id = start_cycle()
        run_due(seconds=0.5)
    return cycle_id, dead_letters.requeue(
        DeadLetterDispatch.objects.get().pk, actor=SYSTEM, reason="again"
    )


def assert_can_be_requeued(settings: Any, reason: str, error: str) -> None:
    """The requeued job has a letter of its own, with which it can be sent."""
    letter = DeadLetterDispatch.objects.get(status="open")
    assert (letter.reason, letter.last_error) == (reason, error)
    assert DispatchJob.objects.get(pk=letter.job_id).status == "dead"
    assert DispatchJob.objects.get(pk=letter.job_id).requeue_of_id is not None
    assert rows(
        "SELECT count(*) FROM orbit_executionrecord WHERE event = 'dead_letter_created' AND data "
        "->> 'job_id' = %s",
        str(letter.job_id),
    ) == [(1,)]
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        job = dead_letters.requeue(letter.pk, actor=SYSTEM, reason="once more", endpoint="current")
        run_cycle(letter.cycle_id)
    assert DispatchJob.objects.get(pk=job).status == "delivered"


@pytest.mark.parametrize("sending", [False, True])
def test_requeued_jobs_of_a_cycle_that_is_given_up_are_dead_letters_again(
    settings: Any, sending: bool
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = create_dead_letters(1)
    requeued_job = dead_letters.requeue(letter, actor=SYSTEM, reason="again")
    (cycle,) = lease.claim(1)
    assert not sending or len(dispatch.claim_jobs(cycle, limit=9, worker="w")) == 1
    finish.give_up(cycle, reason="parked", message="too often")
    (entry,) = AuditTrailEntry.objects.filter(action="dead_letter.created")
    assert (entry.object_id, entry.namespace, entry.after["reason"]) == (
        str(requeued_job),
        "a",
        "cycle_given_up",
    )
    assert DeadLetterDispatch.objects.get(status="open").attempts == int(sending)
    assert rows("SELECT status FROM orbit_deliveryreceipt") == [("unknown",)] * sending
    assert_can_be_requeued(settings, "cycle_given_up", "the cycle was given up")


def test_a_cancel_makes_requeued_jobs_dead_letters_and_cancels_the_others(
    running: tuple[UUID, UUID], settings: Any
) -> None:
    cycle_id, requeued_job = running
    before = AuditTrailEntry.objects.count()
    cancel.cancel(cycle_id, actor=SYSTEM, reason="stop")
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1 ORDER BY 1") == [
        ("cancelled", 2),
        ("dead", 2),
    ]
    letter = DeadLetterDispatch.objects.get(status="open")
    assert letter.job_id == requeued_job
    assert AuditTrailEntry.objects.count() == before + 1
    assert AuditTrailEntry.objects.get(action="cycle.cancelled").after == {
        "status": "cancelled",
        "jobs_cancelled": 3,
        "dead_letters": [str(letter.pk)],
    }
    assert_can_be_requeued(settings, "cancelled", "the cycle was cancelled")


def test_a_requeued_job_in_flight_of_a_cancelled_cycle_is_a_dead_letter_once_its_worker_is_lost(
    running: tuple[UUID, UUID], settings: Any
) -> None:
    cycle_id, requeued_job = running
    (cycle,) = lease.claim(1)
    assert [job.job_id for job in dispatch.claim_jobs(cycle, limit=9, worker="dies")] == [
        requeued_job
    ]
    cancel.cancel(cycle_id, actor=SYSTEM, reason="stop")
    assert not DeadLetterDispatch.objects.filter(status="open").exists()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now()")
    assert run_cycle(cycle_id).status == "cancelled"
    assert_can_be_requeued(settings, "cancelled", "the worker that sent it was lost")


def test_a_job_that_was_requeued_after_the_cancel_is_sent_again_if_its_worker_is_lost(
    running: tuple[UUID, UUID], settings: Any
) -> None:
    cycle_id, _ = running
    cancel.cancel(cycle_id, actor=SYSTEM, reason="stop")
    letter = DeadLetterDispatch.objects.get(status="open")
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        again = dead_letters.requeue(letter.pk, actor=SYSTEM, reason="yes", endpoint="current")
        (cycle,) = lease.claim(1)
        assert [job.job_id for job in dispatch.claim_jobs(cycle, worker="dies")] == [again]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.05
        assert run_cycle(cycle_id).status == "cancelled"
    assert DispatchJob.objects.get(pk=again).status == "delivered"
    assert not DeadLetterDispatch.objects.filter(status="open").exists()
