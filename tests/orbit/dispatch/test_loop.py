"""Waves: what is sent, what is kept of it, and what can't be sent."""

import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit import interrupts
from orbit.cycles import cancel, lease
from orbit.dispatch import claim, loop
from orbit.models import (
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    EndpointSnapshot,
    EndpointState,
)
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, close, http

pytestmark = pytest.mark.usefixtures("committed")


def test_each_attempt_carries_its_key_its_token_and_its_context(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    for request in receiver.requests:
        headers = request.headers
        assert headers["authorization"] == "Bearer token-of-default_endpoint"
        assert headers["idempotency-key"] == headers["webhook-id"]
        assert (
            headers["x-orbit-namespace"],
            headers["x-orbit-run-profile"],
            headers["x-orbit-profile"],
        ) == ("a", "r1", "p1")
        assert headers["x-orbit-cycle"] == str(cycle.pk)


def test_a_receipt_has_the_answer(settings) -> None:
    with Receiver(http("500 No", b"a\x00\xffb"), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            {
                "2": {"transformer": "template", "options": {"template": "x"}},
                "3": {"transformer": "template", "options": {"template": "y"}},
            }
        )
        assert run_cycle(start_cycle()).status == "success"
    failed = DeliveryReceipt.objects.get(status="failed")
    assert (failed.status_code, failed.response_excerpt, failed.error) == (
        500,
        "a\ufffd\ufffdb",
        "HTTP 500",
    )
    assert failed.latency_ms is not None
    assert failed.finished_at >= failed.started_at
    assert len({receipt.body_sha256 for receipt in DeliveryReceipt.objects.all()}) == 3


def test_an_answer_that_never_came_is_unknown_and_sent_again_under_its_key(settings) -> None:
    with Receiver(close, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        keys = [request.headers["idempotency-key"] for request in receiver.requests]
    assert len(keys) == 4
    assert len(set(keys)) == 3
    assert rows("SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1 ORDER BY 1") == [
        ("delivered", 3),
        ("unknown", 1),
    ]


def test_no_secret_of_an_endpoint_is_in_the_database(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url + "?key=hush-hush")
        configure_profiles()
        run_cycle(start_cycle())
    snapshot = EndpointSnapshot.objects.get()
    assert snapshot.host == "127.0.0.1"
    for table in (
        "orbit_endpointsnapshot",
        "orbit_dispatchjob",
        "orbit_deliveryreceipt",
        "orbit_executionrecord",
        "telemetry_telemetryevent",
    ):
        for (text,) in rows(f"SELECT t::text FROM {table} t"):
            assert "hush-hush" not in text
            assert "token-of" not in text
            assert b"hush-hush".hex() not in text


def test_a_snapshot_that_no_key_opens_is_a_dead_letter_and_the_others_go_on(settings) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        cycle_id = start_cycle()
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        lease.give_back([cycle], wait=0)
        settings.ORBIT_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        dispatch.forget_caches()
        assert run_cycle(cycle_id).status == "partial_success"
    assert set(DeadLetterDispatch.objects.values_list("reason", flat=True)) == {
        "unreadable_snapshot"
    }
    assert DispatchJob.objects.filter(status="dead").count() == 3
    assert len(receiver.requests) == 3


def test_two_endpoints_get_a_delivery_of_each_item_under_keys_of_their_own(settings) -> None:
    with Receiver(OK) as first, Receiver(OK) as second:
        configure_endpoints(settings, first=first.url, second=second.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["first", "second"]})
        assert run_cycle(start_cycle()).status == "success"
    keys = [request.headers["idempotency-key"] for request in [*first.requests, *second.requests]]
    assert (len(first.requests), len(second.requests), len(set(keys))) == (3, 3, 6)


def test_an_endpoint_that_the_rules_refuse_at_run_time_is_dead_at_once_with_the_address(
    settings,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()

        (claimed_cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed_cycle)
        lease.give_back([claimed_cycle], wait=0)
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = []
        assert run_cycle(cycle_id).status == "partial_success"
        assert receiver.requests == []
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    assert (letter.reason, letter.attempts) == ("address_refused", 1)
    assert "127.0.0.1" in letter.last_error


def test_a_worker_that_wakes_after_its_lease_sends_no_claimed_job(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed_cycle,) = lease.claim(1)
        cycle_progress = dispatch.enqueue_deliveries(claimed_cycle)
        slot = interrupts.Slot()
        slot.held_until = interrupts.now() + 60
        interrupts.enter(slot)
        real = claim.claim_unlimited

        def stopped_behind_the_claim(*args, **kwargs):
            batch = real(*args, **kwargs)
            slot.held_until = interrupts.now()
            return batch

        try:
            with monkeypatch.context() as patch:
                patch.setattr(claim, "claim_unlimited", stopped_behind_the_claim)
                assert (
                    loop.run(claimed_cycle, cycle_progress.jobs, state=dispatch.state(), worker="w")
                    == 0.0
                )
        finally:
            interrupts.enter(interrupts.Slot())
        assert receiver.requests == []
        assert rows(
            "SELECT DISTINCT r.status, j.spent FROM orbit_deliveryreceipt r JOIN "
            "orbit_dispatchjob j ON j.id = r.job_id"
        ) == [("unsent", 0)]
        lease.give_back([claimed_cycle], wait=0)
        assert run_cycle(cycle_id).status == "success"
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("limited", [False, True])
def test_a_delivery_is_not_claimed_before_its_next_attempt_is_due(settings, limited: bool) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    EndpointState.objects.update(max_concurrency=9 if limited else None)
    later = DispatchJob.objects.order_by("id")[:2]
    DispatchJob.objects.filter(pk__in=[job.pk for job in later]).update(
        next_attempt_at=Now() + timedelta(minutes=1)
    )
    assert len(dispatch.claim_jobs(claimed_cycle)) == 1


def test_an_endpoint_that_has_its_share_of_the_senders_gets_no_delivery(settings) -> None:
    configure_endpoints(settings, full="http://127.0.0.1:9/", other="http://localhost:9/")
    configure_profiles(r1={"namespace": "a", "distribution_targets": ["full", "other"]})
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    dispatch.enqueue_deliveries(claimed_cycle)
    result = claim.claim(
        claimed_cycle,
        limit=16,
        worker="w",
        endpoints=dispatch.state().endpoints,
        full=[EndpointState.objects.get(endpoint_key="full").pk],
    )
    assert [job.endpoint_key for job in result.jobs] == ["other"] * 3
    assert result.shared


def test_a_process_whose_time_is_over_sends_no_claimed_job(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "process", interrupts.WorkerState())
    real = claim.claim_unlimited

    def drained_behind_the_claim(*args, **kwargs):
        batch = real(*args, **kwargs)
        interrupts.process.drain(0)
        return batch

    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (claimed_cycle,) = lease.claim(1)
        cycle_progress = dispatch.enqueue_deliveries(claimed_cycle)
        monkeypatch.setattr(claim, "claim_unlimited", drained_behind_the_claim)
        with pytest.raises(interrupts.Interrupted):
            loop.run(claimed_cycle, cycle_progress.jobs, state=dispatch.state(), worker="w")
        assert receiver.requests == []
    assert set(DeliveryReceipt.objects.values_list("status", flat=True)) == {"unsent"}


def _slowly(sock: socket.socket) -> None:
    time.sleep(0.8)
    sock.sendall(OK)


def test_a_claim_whose_connection_is_cut_loses_no_pending_answer(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = claim.claim_unlimited, []

    def cut(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:  # beside the first wave
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return real(*args, **kwargs)

    with (
        Receiver(_slowly) as first,
        Receiver(http("500 No"), http("500 No"), http("500 No"), OK) as second,
    ):
        configure_endpoints(settings, first=first.url, second=second.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["first", "second"]})
        monkeypatch.setattr(claim, "claim_unlimited", cut)
        assert run_cycle(start_cycle()).status == "success"
    assert (len(calls) > 1, len(first.requests), len(second.requests)) == (True, 3, 6)


def test_a_claim_that_finds_the_cycle_cancelled_loses_no_pending_answer(
    settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = claim.claim_unlimited, []

    def cancelled(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:  # beside the first wave
            cancel.cancel(cycle_id, actor=SYSTEM, reason="enough")
        return real(*args, **kwargs)

    with Receiver(_slowly) as first, Receiver(http("500 No")) as second:
        configure_endpoints(settings, first=first.url, second=second.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["first", "second"]})
        cycle_id = start_cycle()
        monkeypatch.setattr(claim, "claim_unlimited", cancelled)
        run_due(seconds=1)
    assert len(calls) == 1
    assert rows(
        "SELECT status, count(*) FROM orbit_dispatchjob WHERE endpoint_key = 'first' GROUP BY 1"
    ) == [("delivered", 3)]
