"""Two statements at once: the second waits for the first, and must see its effects."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from orbit.cycles import advance, cancel, lease, progress
from orbit.dispatch import dead_letters, in_flight
from orbit.models import CycleRun
from orbit.records import fence
from orbit_site.processes.supervisor import BY_INDEX
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


def cancel_while_it_waits(cycle_id: Any, pool: ThreadPoolExecutor) -> Any:
    """Cancel the cycle in another thread. Return when it waits for a row of this transaction."""

    def cancel_cycle() -> None:
        try:
            cancel.cancel(cycle_id, actor=SYSTEM, reason="now")
        finally:
            connection.close()

    cancellation = pool.submit(cancel_cycle)
    until(
        lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"),
        "the cancel did not wait for the row",
    )
    return cancellation


def test_a_cancel_that_waits_for_a_claim_of_jobs_leaves_the_cycle_due(settings) -> None:
    with Receiver(OK) as receiver, ThreadPoolExecutor(1) as pool:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        with transaction.atomic():
            assert len(dispatch.claim_jobs(claimed_cycle, limit=16, worker="w")) == 3
            cancellation = cancel_while_it_waits(cycle_id, pool)
        cancellation.result()
    cycle = CycleRun.objects.get(pk=cycle_id)
    assert rows("SELECT DISTINCT status FROM orbit_dispatchjob") == [("sending",)]
    assert cycle.status == "cancelled"
    assert cycle.next_due_at is not None


def test_a_cancel_that_waits_for_the_enqueueing_cancels_its_jobs(settings) -> None:
    with Receiver(OK) as receiver, ThreadPoolExecutor(1) as pool:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        with transaction.atomic():
            dispatch.enqueue_deliveries(claimed_cycle)
            cancellation = cancel_while_it_waits(cycle_id, pool)
        cancellation.result()
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("cancelled", 3)]
    assert CycleRun.objects.get(pk=cycle_id).next_due_at is None


def test_a_requeued_delivery_does_not_count_for_a_cycle_that_still_runs(settings) -> None:
    with Receiver(http("410 Gone"), http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 60
        configure_profiles()
        cycle_id = start_cycle()
        run_due(seconds=0.2)
        ((letter,),) = rows("SELECT id FROM orbit_deadletterdispatch")
        assert CycleRun.objects.get(pk=cycle_id).status == "running"
        dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        with connection.cursor() as cursor:  # let the time of the retry come
            cursor.execute(
                "UPDATE orbit_dispatchjob SET next_attempt_at = now() WHERE status = 'pending'"
            )
            cursor.execute("UPDATE orbit_cyclerun SET next_due_at = now()")
        cycle = run_cycle(cycle_id)
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1 ORDER BY 1") == [
        ("dead", 1),
        ("delivered", 3),
    ]
    assert cycle.status == "partial_success"
    assert cycle.stages[-1]["done"] == 2


def test_a_workers_statements_read_a_cycle_by_index(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    with connection.cursor() as cursor:
        for option in BY_INDEX.split("-c ")[1:]:
            cursor.execute(f"SET {option}")
        for sql, values in (
            (progress.READ_JOBS.text, {"cycle": cycle.pk}),
            (progress.READ_TIERS.text, {"cycle": cycle.pk}),
            (progress.READ_OUTPUTS.text, {"cycle": cycle.pk, "tiers": [1, 2]}),
            (advance.COUNT_RESUME.text, {"id": cycle.pk, "token": 1}),
            (cancel.CANCEL_JOBS.text, {"id": cycle.pk}),
            (cancel.STAY_DUE.text, {"id": cycle.pk}),
        ):
            cursor.execute("EXPLAIN " + sql, values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            # Without a suitable index, the plan scans another index and filters.
            assert "Seq Scan" not in plan and "Filter: (cycle_id" not in plan, plan


def test_the_same_bytes_go_to_the_database_once(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle(body=b'{"n": 1}')
        (claimed_cycle,) = lease.claim(1)
        blob_counts: list[int] = []
        commit = fence.commit

        def commit_and_count(write: fence.FencedWrite) -> list[tuple[Any, ...]]:
            blob_counts.append(len(write.blobs))
            return commit(write)

        monkeypatch.setattr(fence, "commit", commit_and_count)
        dispatch.enqueue_deliveries(claimed_cycle)
    assert blob_counts == [1]
    assert rows("SELECT payload FROM orbit_normalizationitem") == [(b'{"n": 1}',)] * 3


def test_a_slot_that_hangs_in_sending_does_not_end_its_cycle(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        with monkeypatch.context() as patch:
            patch.setattr(in_flight, "GRACE_SECONDS", -18.5)  # of the endpoint's total of 20
            patch.setattr(in_flight, "_begin", lambda *_: None)  # a sender has the request
            patch.setattr(in_flight.client, "send", lambda *_, **__: release.wait(60) and None)
            assert advance.run(claimed_cycle, dispatch=dispatch.state(), worker="w") is None
        release.set()
        assert CycleRun.objects.get(pk=cycle_id).status == "running"
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        assert run_cycle(cycle_id).status == "success"


def test_a_slow_slot_does_not_idle_the_others_of_its_worker(settings) -> None:
    """A new cycle runs beside a slow one, even after the runner's time for claiming."""
    release = threading.Event()

    def answer_when_released(sock: socket.socket) -> None:
        release.wait(60)
        sock.sendall(OK)

    def status(cycle_id: UUID) -> str:
        return CycleRun.objects.get(pk=cycle_id).status

    with Receiver(answer_when_released) as slow, Receiver(OK) as quick:
        configure_endpoints(settings, slow=slow.url, quick=quick.url)
        configure_profiles(
            r1={"namespace": "a", "distribution_targets": ["slow"]},
            r2={"namespace": "b", "distribution_targets": ["quick"]},
        )
        first = start_cycle("r1")
        worker = threading.Thread(target=lambda: (run_due(seconds=0.2), connection.close()))
        worker.start()
        until(lambda: slow.requests, "the slow cycle was not sent")
        time.sleep(0.5)
        second = start_cycle("r2")
        until(lambda: status(second) == "success", "the quick cycle did not end")
        assert status(first) == "running"
        release.set()
        worker.join()
        assert status(first) == "success"
