"""Requeue: one job for one letter, under the same key, to the endpoint that was chosen."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit import queue
from orbit.cycles import lease
from orbit.dispatch import dead_letters
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.support import dispatch
from tests.support.dead_letters import create_dead_letters as make
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def dead(settings) -> CycleRun:
    """A cycle whose three deliveries died of a 500."""
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(http("500 No", b"no")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
        assert cycle.status == "partial_success"
    return cycle


def letters() -> list[DeadLetterDispatch]:
    return list(DeadLetterDispatch.objects.order_by("id"))


def test_a_requeue_delivers_under_the_same_key_and_leaves_the_cycle_s_status(
    dead: CycleRun, settings
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        first, second, _ = letters()
        rows("DELETE FROM django_q_ormq RETURNING id")
        job = dead_letters.requeue(first.pk, actor=SYSTEM, reason="it is back", endpoint="current")
        fresh = dead_letters.requeue(
            second.pk, actor=SYSTEM, reason="it is back", endpoint="current", new_key=True
        )
        assert queue.ready_wakeups() > 0
        assert run_cycle(dead.pk).status == "partial_success"
        keys = {request.headers["idempotency-key"] for request in receiver.requests}
    assert rows(
        "SELECT data ->> 'delivered', data ->> 'dead' FROM orbit_executionrecord"
        " WHERE event = 'late_deliveries_ended'"
    ) == [("2", "3")]
    jobs = {row.pk: row for row in DispatchJob.objects.all()}
    assert {jobs[job].status, jobs[fresh].status} == {"delivered"}
    assert jobs[job].delivery_id == jobs[first.job_id].delivery_id
    assert jobs[fresh].delivery_id != jobs[second.job_id].delivery_id
    assert keys == {str(jobs[job].delivery_id), str(jobs[fresh].delivery_id)}
    first.refresh_from_db()
    assert (first.status, first.requeued_job_id, first.resolved_by, first.resolved_reason) == (
        "requeued",
        job,
        "orbit",
        "it is back",
    )
    assert AuditTrailEntry.objects.filter(action="dead_letter.requeued").count() == 2


def test_two_requeues_at_once_make_one_job(dead: CycleRun) -> None:
    letter = letters()[0]

    def attempt(_: int) -> UUID | None:
        try:
            return dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again")
        except AlreadyRequeued as refusal:
            assert refusal.extra["dispatch_job_id"]
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        job_ids = [job for job in pool.map(attempt, range(16)) if job]
    assert len(job_ids) == 1
    assert rows("SELECT count(*) FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL") == [(1,)]


def test_a_requeue_while_a_worker_holds_the_cycle_is_not_forgotten(
    dead: CycleRun, settings
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        first, second, _ = letters()
        dead_letters.requeue(first.pk, actor=SYSTEM, reason="one", endpoint="current")
        (held,) = lease.claim(1)
        dead_letters.requeue(second.pk, actor=SYSTEM, reason="two", endpoint="current")
        # The worker knows of the first alone, and lets go with nothing more to do as far as it
        # knows.
        lease.give_back([held], wait=3600)
        run_cycle(dead.pk)
        assert len(receiver.requests) == 2


def test_a_requeued_job_that_fails_is_a_new_letter(dead: CycleRun) -> None:
    dead_letters.requeue(letters()[0].pk, actor=SYSTEM, reason="again")
    run_cycle(dead.pk)
    assert [letter.status for letter in letters()] == ["requeued", "open", "open", "open"]


def test_a_missing_hidden_or_resolved_letter_or_one_without_endpoint_is_refused(
    dead: CycleRun, settings
) -> None:
    letter = letters()[0]
    with pytest.raises(LetterUnknown):
        dead_letters.requeue(uuid4(), actor=SYSTEM, reason="x")
    with pytest.raises(LetterUnknown):
        dead_letters.requeue(
            letter.pk, actor=replace(SYSTEM, namespaces=frozenset({"other"})), reason="x"
        )
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    with pytest.raises(EndpointGone):
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="x", endpoint="current")
    DeadLetterDispatch.objects.filter(pk=letter.pk).update(
        status="dismissed", resolved_by="ann", resolved_at=letter.created_at
    )
    with pytest.raises(AlreadyResolved, match="dismissed by ann"):
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="x")
    assert rows("SELECT count(*) FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL") == [(0,)]


def test_a_delivery_with_a_success_on_record_is_not_sent_again(dead: CycleRun) -> None:
    """The statement that makes the job refuses a letter whose delivery has a success."""
    letter = letters()[0]
    DispatchJob.objects.filter(pk=letter.job_id).update(status="delivered")
    with pytest.raises(AlreadyResolved, match="a success on record"):
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="x", new_key=True)
    assert DispatchJob.objects.filter(requeue_of__isnull=False).count() == 0
    dead_letters.dismiss(letter.pk, actor=SYSTEM, reason="it is there")


def test_a_requeue_in_a_cancelled_cycle_outlives_the_worker_that_sends_it(settings) -> None:
    with Receiver(http("410 Gone"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        run_cycle(cycle_id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orbit_cyclerun SET status = 'cancelled'")
        job_id = dead_letters.requeue(
            DeadLetterDispatch.objects.get().pk, actor=SYSTEM, reason="again"
        )
        (cycle,) = lease.claim(1)
        assert [
            sending.job_id for sending in dispatch.claim_jobs(cycle, limit=9, worker="dies")
        ] == [job_id]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        run_cycle(cycle_id)
    assert DispatchJob.objects.get(pk=job_id).status == "delivered"


def test_a_requeue_to_the_current_endpoint_and_the_end_of_a_delivery_do_not_deadlock(
    settings,
) -> None:
    """As in a web process whose configuration is newer than the workers': no snapshot of it yet."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = make(1)
    cycle_id = DeadLetterDispatch.objects.get().cycle_id
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/changed")

    def ends() -> None:
        """What the closing write of an attempt locks, in its order."""
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM orbit_cyclerun WHERE id = %s FOR NO KEY UPDATE", [cycle_id]
                )
                locked.set()
                time.sleep(0.5)
                cursor.execute("SELECT 1 FROM orbit_endpointstate ORDER BY id FOR NO KEY UPDATE")
        finally:
            connection.close()

    locked = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(ends)
        assert locked.wait(60)
        dead_letters.requeue(letter, actor=SYSTEM, reason="again", endpoint="current")
        ending.result(60)
    assert DeadLetterDispatch.objects.get().status == "requeued"
