"""Two at once: what one statement does not see of another that it had to wait for, and what is found by a key however much lies around it."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from orbit.cycles import advance, cancel, lease, progress
from orbit.dispatch import attempt, dead_letters
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
    """Have another thread cancel the cycle, and return once it waits for the row that this transaction holds."""

    def act() -> None:
        try:
            cancel.cancel(cycle_id, actor=SYSTEM, reason="now")
        finally:
            connection.close()

    done = pool.submit(act)
    until(
        lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"),
        "the cancel doesn't wait",
    )
    return done


def test_a_cancel_that_waits_for_a_wave_leaves_no_attempt_open_for_ever(settings) -> None:
    with Receiver(OK) as receiver, ThreadPoolExecutor(1) as pool:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        with transaction.atomic():
            assert len(dispatch.claim_jobs(claimed_cycle, limit=16, worker="w")) == 3
            done = cancel_while_it_waits(cycle_id, pool)
        done.result()
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
            done = cancel_while_it_waits(cycle_id, pool)
        done.result()
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [("cancelled", 3)]
    assert CycleRun.objects.get(pk=cycle_id).next_due_at is None


def test_a_requeued_delivery_is_no_part_of_the_outcome_of_a_cycle_that_still_runs(settings) -> None:
    with Receiver(http("410 Gone"), http("500 No"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.7
        configure_profiles()
        cycle_id = start_cycle()
        run_due(seconds=0.2)
        ((letter,),) = rows("SELECT id FROM orbit_deadletterdispatch")
        assert CycleRun.objects.get(pk=cycle_id).status == "running"
        dead_letters.requeue(letter, actor=SYSTEM, reason="again")
        time.sleep(1)
        cycle = run_cycle(cycle_id)
    assert rows("SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1 ORDER BY 1") == [
        ("dead", 1),
        ("delivered", 3),
    ]
    assert cycle.status == "partial_success"
    assert cycle.stages[-1]["done"] == 2


def test_what_a_worker_reads_of_a_cycle_it_finds_by_keys(settings) -> None:
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
            # A plan without a key to go by scans some index from end to end, and filters.
            assert "Seq Scan" not in plan and "Filter: (cycle_id" not in plan, plan


def test_the_same_bytes_go_to_the_database_once(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle(body=b'{"n": 1}')
        (claimed_cycle,) = lease.claim(1)
        sent: list[int] = []
        real = fence.commit

        def counting(write: fence.FencedWrite) -> list[tuple[Any, ...]]:
            sent.append(len(write.blobs))
            return real(write)

        fence.commit = counting
        try:
            dispatch.enqueue_deliveries(claimed_cycle)
        finally:
            fence.commit = real
    assert sent == [1]
    assert rows("SELECT payload FROM orbit_normalizationitem") == [(b'{"n": 1}',)] * 3


def test_a_slot_that_hangs_in_sending_does_not_end_its_cycle(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        with monkeypatch.context() as patch:
            patch.setattr(attempt, "GRACE_SECONDS", -18.5)  # of the endpoint's total of 20
            patch.setattr(attempt.client, "send", lambda *_, **__: released.wait(10) and None)
            assert advance.run(claimed_cycle, dispatch=dispatch.state(), worker="w") is None
        released.set()
        assert CycleRun.objects.get(pk=cycle_id).status == "running"
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        assert run_cycle(cycle_id).status == "success"


def test_a_slow_slot_does_not_idle_the_others_of_its_worker(settings) -> None:
    """Long after the runner's time for claiming, a quick cycle is run beside a slow one."""

    def slowly(sock: socket.socket) -> None:
        time.sleep(3)
        sock.sendall(OK)

    with Receiver(slowly) as slow, Receiver(OK) as quick:
        configure_endpoints(settings, slow=slow.url, quick=quick.url)
        configure_profiles(
            r1={"namespace": "a", "distribution_targets": ["slow"]},
            r2={"namespace": "b", "distribution_targets": ["quick"]},
        )
        first = start_cycle("r1")
        worker = threading.Thread(target=lambda: (run_due(seconds=0.2), connection.close()))
        worker.start()
        time.sleep(1)
        second = start_cycle("r2")
        time.sleep(1)
        assert CycleRun.objects.get(pk=second).status == "success"
        assert CycleRun.objects.get(pk=first).status == "running"
        worker.join()
        assert CycleRun.objects.get(pk=first).status == "success"
