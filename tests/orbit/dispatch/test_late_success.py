"""A late 2xx ends the job, its letters and its requeued jobs, whatever commits meanwhile."""

import threading
import uuid
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.cycles import cancel, finish, lease
from orbit.dispatch import attempt, dead_letters, endpoints, receipts
from orbit.dispatch.claim import ClaimedJob
from orbit.models import (
    CycleRun,
    DeadLetterDispatch,
    DeliveryHour,
    DispatchJob,
    RollUpMark,
)
from orbit.outbound.client import Response
from orbit.records.fence import ClaimedCycle
from orbit.rollup import counts
from orbit_site.processes.supervisor import BY_INDEX
from tests.support import dispatch, pipeline
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_profiles, rows, run_due, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
YES = Response(200, None, "", b"ok", None, 1.0, True, b"ok")
# No text: the tiers that would fill it into a template fail for good, and one item is left.
ONE_ITEM, BODY = (
    {
        str(tier): {"transformer": "template", "options": {"template": "$payload"}}
        for tier in (2, 3)
    },
    b"\xff",
)


def unknown_attempt(letter: UUID, receipt: UUID | None = None) -> tuple[ClaimedCycle, ClaimedJob]:
    """Give the letter's job an attempt whose worker still waits; return what that worker holds."""
    job, receipt = DispatchJob.objects.get(dead_letter=letter), receipt or uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, "
            "fencing_token, started_at, finished_at, body_sha256)"
            " VALUES (%s, %s, 1, 'unknown', 'w', 1, now(), now(), repeat('0', 64))",
            [receipt, job.pk],
        )
    cycle = ClaimedCycle(
        job.cycle_id,
        0,
        "a",
        CycleRun.objects.get(pk=job.cycle_id).status,
        None,
        None,
        None,
        {},
        "",
        None,
        "",
        0,
        False,
    )
    endpoint = endpoints.configured()[job.endpoint_key]
    return cycle, ClaimedJob(
        job.cycle_id, receipt, job.pk, 1, 0, 0, job.delivery_id, job.endpoint_key, endpoint
    )


def save_late(cycle: ClaimedCycle, *jobs: ClaimedJob) -> None:
    receipts.save_late_successes(cycle, [attempt.resolve(job, YES) for job in jobs])


class WaitingSuccess:
    """A late 2xx in another thread, which waits for the transaction of this one."""

    def __init__(self, cycle: ClaimedCycle, *jobs: ClaimedJob) -> None:
        self._thread = threading.Thread(
            target=lambda: (save_late(cycle, *jobs), connection.close())
        )

    def begin(self) -> None:
        self._thread.start()
        until(
            lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"),
            "the late 2xx doesn't wait",
        )

    def end(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def statuses() -> tuple[list[str], list[str]]:
    """Return the states of jobs and of letters, each in the order in which they were made."""
    return (
        list(DispatchJob.objects.order_by("id").values_list("status", flat=True)),
        list(DeadLetterDispatch.objects.order_by("id").values_list("status", flat=True)),
    )


def test_a_late_success_that_waits_while_its_job_is_given_up_closes_the_new_letter(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        pipeline.configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 0
        configure_profiles(ONE_ITEM)
        start_cycle(body=BODY)
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        wave = dispatch.claim_jobs(cycle, limit=16, worker="w")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        (resumed_cycle,) = lease.claim(1)
        cycle_progress = dispatch.load_progress(resumed_cycle)
        success = WaitingSuccess(cycle, *wave)
        with transaction.atomic():
            finish.save_results(
                cycle_progress, [attempt.abandon(job) for job in cycle_progress.abandoned]
            )
            success.begin()
        success.end()
    assert statuses() == (["delivered"], ["delivered_late"])


def test_a_late_success_that_waits_for_a_requeue_cancels_the_requeued_job(settings: Any) -> None:
    with Receiver(OK) as receiver:
        pipeline.configure_endpoints(settings, default_endpoint=receiver.url)
        (letter,) = create_dead_letters(1)
        success = WaitingSuccess(*unknown_attempt(letter))
        with transaction.atomic():
            dead_letters.requeue(letter, actor=SYSTEM, reason="again")
            success.begin()
        success.end()
        assert statuses() == (["delivered", "cancelled"], ["delivered_late"])
        run_due(seconds=0.5)
    assert receiver.requests == []


def test_a_late_success_closes_all_letters_of_a_job_that_was_requeued_twice(settings: Any) -> None:
    with Receiver(http("410 Gone"), OK) as receiver:
        pipeline.configure_endpoints(settings, default_endpoint=receiver.url)
        (letter,) = create_dead_letters(1)
        cycle, job = unknown_attempt(letter)
        dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        run_due(seconds=0.5)
        dead_letters.requeue(
            DeadLetterDispatch.objects.get(status="open").pk, actor=SYSTEM, reason="and again"
        )
        save_late(cycle, job)
        assert statuses() == (
            ["delivered", "dead", "cancelled"],
            ["delivered_late", "delivered_late"],
        )
        run_due(seconds=0.5)
    assert len(receiver.requests) == 1


def test_a_requeued_job_in_flight_is_not_retried_after_a_late_success(settings: Any) -> None:
    with Receiver(http("500 No"), OK) as receiver:
        pipeline.configure_endpoints(settings, default_endpoint=receiver.url)
        (letter,) = create_dead_letters(1, retries=3)
        lost_worker = unknown_attempt(letter)
        dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        (cycle,) = lease.claim(1)
        (copy,) = dispatch.claim_jobs(cycle, limit=9, worker="w")
        save_late(*lost_worker)
        cycle_progress = dispatch.load_progress(cycle)
        finish.save_results(
            cycle_progress,
            [attempt.resolve(copy, Response(500, None, "", b"no", None, 1.0, True, b"no"))],
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        pipeline.run_cycle(cycle.id)
    assert statuses() == (["delivered", "cancelled"], ["delivered_late"])
    assert receiver.requests == []
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]


def test_letters_and_requeued_jobs_are_found_by_index(settings: Any) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    dead_letters.requeue(create_dead_letters(1)[0], actor=SYSTEM, reason="again")
    with connection.cursor() as cursor:
        for option in BY_INDEX.split("-c ")[1:]:
            cursor.execute(f"SET {option}")
        for sql, values in (
            (receipts.CLOSE_LETTERS_LATE.text, {"job": uuid.uuid4()}),
            (receipts.CANCEL_REQUEUED_JOBS.text, {"job": uuid.uuid4()}),
            (dead_letters.FILTER_REQUEUED.text, {"jobs": [uuid.uuid4()]}),
        ):
            cursor.execute("EXPLAIN " + sql, values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan" not in plan, plan
            # A scan of an index without a key walks it from end to end.
            assert plan.count("Index Cond") == plan.count("Index Scan") + plan.count(
                "Index Only Scan"
            ), plan


def test_a_late_success_is_audited_once(settings: Any) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = create_dead_letters(1)
    cycle, job = unknown_attempt(letter)
    copy = dead_letters.requeue(letter, actor=SYSTEM, reason="again")
    for _ in range(2):
        save_late(cycle, job)
    details = {"dead_letters": [str(letter)], "copies_cancelled": [str(copy)]}
    (entry,) = AuditTrailEntry.objects.filter(action="delivery.confirmed_late")
    assert (entry.actor, entry.object_type, entry.object_id, entry.namespace) == (
        "orbit",
        "dispatch_job",
        str(job.job_id),
        "a",
    )
    assert entry.before == {"status": "dead"}
    assert entry.after == {
        "status": "delivered",
        "cycle_id": str(cycle.id),
        "attempt": 1,
        **details,
    }
    ((data,),) = rows(
        "SELECT data FROM orbit_executionrecord WHERE event = 'delivered_late' AND cycle_id = %s",
        cycle.id,
    )
    assert ('"was": "dead"' in data, str(copy) in data, str(letter) in data) == (True, True, True)
    assert rows(
        "SELECT run_id, metadata ->> 'job_id' FROM telemetry_telemetryevent WHERE name = "
        "'delivery_confirmed'"
    ) == [(cycle.id, str(job.job_id))]


def test_a_late_success_of_a_cancelled_job_is_audited(settings: Any) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles(ONE_ITEM)
    cycle_id = start_cycle(body=BODY)
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    (job,) = dispatch.claim_jobs(claimed_cycle)
    cancel.cancel(cycle_id, actor=SYSTEM, reason="stop")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now()")
    run_due(seconds=0.2)  # the attempt is closed as unknown
    assert statuses() == (["cancelled"], [])
    save_late(claimed_cycle, job)
    assert statuses() == (["delivered"], [])
    entry = AuditTrailEntry.objects.get(action="delivery.confirmed_late")
    assert (entry.object_id, entry.before) == (str(job.job_id), {"status": "cancelled"})


def test_a_late_success_closes_the_letter_of_a_copy_that_dies_at_that_moment(
    settings: Any,
) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = create_dead_letters(1)
    success = WaitingSuccess(*unknown_attempt(letter))
    dead_letters.requeue(letter, actor=SYSTEM, reason="again")
    (cycle,) = lease.claim(1)
    (copy,) = dispatch.claim_jobs(cycle)
    gone = Response(410, None, "", b"gone", None, 1.0, True, b"gone")
    with transaction.atomic():
        receipts.save(cycle, [attempt.resolve(copy, gone)])
        # It has closed the first letter, and waits for the copy, whose letter it can't see yet.
        success.begin()
    success.end()
    assert statuses() == (["delivered", "dead"], ["delivered_late", "delivered_late"])


@pytest.mark.parametrize(("after", "number"), [("f", 1), ("0", None)])
def test_a_late_success_is_counted_here_if_the_roll_up_has_passed_its_attempt(
    settings: Any, after: str, number: int | None
) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = create_dead_letters(1, namespace="a")
    cycle, job = unknown_attempt(letter)
    RollUpMark.objects.create(kind="receipts", at=Now(), after=after * 32)
    for _ in range(2):
        save_late(cycle, job)
    hour = DeliveryHour.objects.filter(namespace="a").first()
    assert (hour and hour.delivered) == number


def test_a_late_success_waits_for_a_refresh_of_the_roll_up_that_has_begun(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    (letter,) = create_dead_letters(1, namespace="a")
    # By its id it is old enough to be counted.
    success = WaitingSuccess(*unknown_attempt(letter, UUID(int=1)))
    RollUpMark.objects.create(kind="receipts", at=Now(), after=UUID(int=0))
    advance = counts.ADVANCE.send
    monkeypatch.setattr(
        counts,
        "ADVANCE",
        SimpleNamespace(send=lambda **values: (success.begin(), advance(**values))[1]),
    )
    counts.refresh()
    success.end()
    assert DeliveryHour.objects.get(namespace="a").delivered == 1


def test_a_late_success_of_an_open_job_is_not_audited(settings: Any) -> None:
    pipeline.configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles(ONE_ITEM)
    start_cycle(body=BODY)
    (cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(cycle)
    save_late(cycle, *dispatch.claim_jobs(cycle, limit=16, worker="w"))
    assert statuses() == (["delivered"], [])
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'delivered_late'") == [
        (1,)
    ]
    assert rows(
        "SELECT count(*) FROM telemetry_telemetryevent WHERE name = 'delivery_confirmed'"
    ) == [(1,)]
    assert not AuditTrailEntry.objects.filter(action="delivery.confirmed_late").exists()
