"""The end of a cycle whose deliveries take too long: it stops waiting, they don't stop."""

import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from orbit.cycles import cancel, finish, lease
from orbit.dispatch import attempt, receipts
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from orbit.outbound.client import Response
from orbit.records.fence import Fenced
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


def ended(cycle_id: Any) -> CycleRun:
    def look() -> CycleRun | None:
        run_due(seconds=0.3)
        return CycleRun.objects.filter(pk=cycle_id, finished_at__isnull=False).first()

    found = until(look, "the cycle doesn't end")
    assert found is not None
    return found


def test_a_cycle_stops_waiting_when_the_stages_time_is_over_and_its_retries_go_on_by_themselves(
    settings: Any,
) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.5
    with Receiver(OK, OK, http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 1, 1
        configure_profiles()
        first = start_cycle()
        cycle = ended(first)
        assert cycle.status == "partial_success"
        assert cycle.next_due_at is not None
        assert cycle.stages[-1]["done"] == 2
        assert rows(
            "SELECT count(*) FROM orbit_executionrecord WHERE event = 'stage_deadline' AND level = 'warning'"
        ) == [(1,)]
        assert DispatchJob.objects.filter(status="pending").count() == 1
        # The namespace is free again, while the delivery of the first cycle still waits.
        second = start_cycle()
        assert run_cycle(second).status == "success"
        later = run_cycle(first)
    assert later.status == "partial_success"
    assert later.stages == cycle.stages
    assert DispatchJob.objects.filter(status="delivered").count() == 6
    assert rows(
        "SELECT data->>'delivered' FROM orbit_executionrecord WHERE event = 'late_deliveries_ended'"
    ) == [("3",)]
    assert (
        rows("SELECT stage, count(*) FROM orbit_cyclecheckpoint GROUP BY 1 HAVING count(*) <> 2")
        == []
    )


def test_what_outlives_its_cycle_becomes_a_dead_letter_as_ever(settings: Any) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.3
    with Receiver(http("500 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.4, 0.4
        configure_profiles()
        cycle_id = start_cycle()
        assert ended(cycle_id).status == "partial_success"
        assert DeadLetterDispatch.objects.count() == 0
        assert run_cycle(cycle_id).status == "partial_success"
    assert DeadLetterDispatch.objects.filter(reason="retries_exhausted").count() == 3
    assert len(receiver.requests) == 12


def test_the_time_counts_from_the_enqueueing_over_a_change_of_workers(settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    time.sleep(0.3)
    found = dispatch.load_progress(claimed_cycle)
    assert (
        settings.ORBIT_DISPATCH_DEADLINE_SECONDS - 5
        < found.jobs.left()
        < settings.ORBIT_DISPATCH_DEADLINE_SECONDS - 0.3
    )


def test_a_cycle_in_retry_is_looked_at_when_its_time_is_over_not_when_the_retry_is_due(
    settings: Any,
) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.5
    with Receiver(http("503 Later", headers=["Retry-After: 200"])) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_CAP = 300
        configure_profiles()
        began = time.monotonic()
        cycle = ended(start_cycle())
    assert time.monotonic() - began < 10
    assert cycle.next_due_at is not None
    assert (cycle.next_due_at - cycle.finished_at).total_seconds() > 150  # type: ignore[operator]


def test_an_attempt_of_a_lost_worker_is_closed_though_a_late_success_has_ended_its_job(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        first, *_ = dispatch.claim_jobs(claimed_cycle, limit=1, worker="zombie")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        # The heir takes the job over and dies in its second attempt; meanwhile the first worker's 2xx comes home.
        (heir,) = lease.claim(1)
        from orbit.cycles import finish

        found = dispatch.load_progress(heir)
        finish.save_results(found, [attempt.abandon(sending) for sending in found.abandoned])
        time.sleep(0.1)
        assert [
            sending.attempt
            for sending in dispatch.claim_jobs(heir, limit=9, worker="heir")
            if sending.job_id == first.job_id
        ] == [2]
        with pytest.raises(Fenced):
            receipts.commit(_closing(claimed_cycle, first), [attempt.resolve(first, YES)])
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        assert run_cycle(cycle_id).status == "success"
    assert rows(
        "SELECT attempt, status FROM orbit_deliveryreceipt WHERE job_id = %s ORDER BY 1",
        first.job_id,
    ) == [(1, "delivered"), (2, "unknown")]
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending'") == [(0,)]


def _closing(claimed_cycle: Any, sending: Any) -> Any:
    from orbit.cycles import finish
    from orbit.records import fence

    write = fence.FencedWrite(
        claimed_cycle, finish.CLOSE_DELIVERIES.text, rows={"finishes": [], "ledger": []}
    )
    receipts.add_to(write, [attempt.resolve(sending, YES)])
    return write


def test_a_cancel_ends_what_outlived_its_cycle_too(settings: Any) -> None:
    settings.ORBIT_DISPATCH_DEADLINE_SECONDS = 0.2
    from governance.access.actors import SYSTEM
    from orbit.errors import CycleFinished

    with Receiver(http("500 No")) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE, settings.ORBIT_DISPATCH_BACKOFF_CAP = 60, 60
        configure_profiles()
        cycle_id = start_cycle()
        ended(cycle_id)
        with pytest.raises(CycleFinished):
            cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")


def test_a_cycle_that_is_given_up_is_metered_with_what_it_had_delivered_and_once(
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
        expected = [("usage", "deliveries", 1, "delivery"), ("value", "kit", 1, "cycle")]
        assert (
            rows(
                "SELECT kind, tag, quantity, unit FROM orbit_valueledgerentry WHERE cycle_id = %s ORDER BY kind",
                cycle_id,
            )
            == expected
        )
        finish.give_up(replace(claimed_cycle, status="failed"), reason="parked", message="again")
    assert rows("SELECT count(*) FROM orbit_valueledgerentry") == [(2,)]
    assert CycleRun.objects.get(pk=cycle_id).reason == "parked"
