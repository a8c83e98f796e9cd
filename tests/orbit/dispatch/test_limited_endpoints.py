"""Caps and circuits on real rows: over all processes, and without burning retries."""

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from orbit.cycles import lease
from orbit.dispatch import claim, enqueue
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob, EndpointState
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
from tests.support.receiver import OK, Receiver, close, http

pytestmark = pytest.mark.usefixtures("committed")


def configure_endpoint(settings: Any, url: str, **members: Any) -> None:
    configure_endpoints(settings, default_endpoint=url)
    entry = {**json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)[0], **members}
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([entry])


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


class Busy:
    """Answers after a while, and remembers how many requests it had at once and when each came."""

    def __init__(self, seconds: float) -> None:
        self.most, self.at, self._now, self._seconds, self._lock = (
            0,
            list[float](),
            0,
            seconds,
            threading.Lock(),
        )

    def __call__(self, sock: socket.socket) -> None:
        with self._lock:
            self._now += 1
            self.at.append(time.monotonic())
            self.most = max(self.most, self._now)
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1
        sock.sendall(OK)


def test_all_slots_together_keep_max_concurrency(
    settings: Any,
) -> None:
    busy = Busy(0.05)
    with Receiver(busy) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=2)
        configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(8)})
        cycles = [start_cycle(f"r{n}") for n in range(8)]
        assert {run_cycle(cycle).status for cycle in cycles} == {"success"}
    assert busy.most == 2
    assert len(busy.at) == 24


def test_all_slots_together_keep_the_rate(settings: Any) -> None:
    busy = Busy(0)
    with Receiver(busy) as receiver:
        configure_endpoint(settings, receiver.url, rate_per_second=10)
        configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(6)})
        cycles = [start_cycle(f"r{n}") for n in range(6)]
        assert {run_cycle(cycle).status for cycle in cycles} == {"success"}
    assert len(busy.at) == 18
    assert busy.at[-1] - busy.at[0] >= 16 / 10
    # On the wire requests may come a little closer together than they were let go.
    assert all(later - at > 0.8 for at, later in zip(busy.at, busy.at[10:], strict=False))


def test_a_changed_cap_binds_jobs_of_older_snapshots_too(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        run_cycle(start_cycle())
        configure_endpoint(settings, receiver.url, max_concurrency=1, rate_per_second=50.5)
        run_cycle(start_cycle())
    state = EndpointState.objects.get()
    assert (state.max_concurrency, state.rate_per_second) == (1, 50.5)
    assert rows("SELECT count(DISTINCT snapshot_id) FROM orbit_dispatchjob") == [(2,)]
    assert rows("SELECT count(*) FROM orbit_endpointsnapshot WHERE state_id = %s", state.pk) == [
        (2,)
    ]


def test_changed_caps_void_the_turns_that_were_given_out_and_the_same_caps_keep_them(
    settings: Any,
) -> None:
    url, later = "http://127.0.0.1:9/", datetime.now(UTC) + timedelta(hours=1)
    configure_endpoint(settings, url, max_concurrency=1)
    enqueue.save_configured()
    EndpointState.objects.update(next_turn_at=later)
    enqueue.save_configured()
    assert EndpointState.objects.get().next_turn_at == later
    configure_endpoint(settings, url, max_concurrency=2)
    enqueue.save_configured()
    assert EndpointState.objects.get().next_turn_at is None


def open_circuit(settings: Any, receiver: Receiver, *, cycles: int = 4) -> list[Any]:
    """Run ``cycles`` of three jobs against a receiver that is down until its circuit is open."""
    configure_endpoint(settings, receiver.url)
    settings.ORBIT_MAX_DISPATCH_RETRIES = 6
    configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(cycles)})
    ids = [start_cycle(f"r{n}") for n in range(cycles)]
    run_due(seconds=1)
    until(
        lambda: run_due(seconds=1) is None or EndpointState.objects.get().opened_at,
        "the circuit isn't open",
    )
    return ids


def test_an_endpoint_that_is_down_gets_no_request_and_no_job_uses_up_a_retry(
    settings: Any,
) -> None:
    with Receiver(http("503 Down")) as receiver:
        ids = open_circuit(settings, receiver)
        state = EndpointState.objects.get()
        assert state.failures >= 10
        assert state.several
        assert state.probe_wait == 30
        run_due(seconds=1)
        requests, retries = len(receiver.requests), rows("SELECT sum(spent) FROM orbit_dispatchjob")
        for _ in range(5):
            run_due(seconds=0.2)
        assert len(receiver.requests) == requests
        assert rows("SELECT sum(spent) FROM orbit_dispatchjob") == retries
        assert {status for (status,) in rows("SELECT DISTINCT status FROM orbit_dispatchjob")} == {
            "pending"
        }
        # Each cycle comes back at a moment of its own, behind the next probe.
        assert len({due for (due,) in rows("SELECT next_due_at FROM orbit_cyclerun")}) == len(ids)
    assert rows(
        "SELECT count(*), min(level) FROM orbit_executionrecord WHERE event = 'circuit_opened'"
    ) == [(1, "error")]


def test_after_a_probe_that_succeeds_all_waiting_jobs_go_at_once(settings: Any) -> None:
    state: dict[str, bytes] = {"answer": http("500 No")}
    with Receiver(lambda sock: sock.sendall(state["answer"])) as receiver:
        ids = open_circuit(settings, receiver)
        run_due(seconds=1)
        requests = len(receiver.requests)
        # The probe fails: the next one is later.
        execute("UPDATE orbit_endpointstate SET probe_at = now()")
        execute("UPDATE orbit_cyclerun SET next_due_at = now()")
        run_due(seconds=1)
        assert len(receiver.requests) == requests + 1
        assert EndpointState.objects.get().probe_wait == 60
        state["answer"] = OK
        execute("UPDATE orbit_endpointstate SET probe_at = now()")
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        assert {run_cycle(cycle).status for cycle in ids} == {"success"}
    circuit = EndpointState.objects.get()
    assert (
        circuit.failures,
        circuit.opened_at,
        circuit.probe_at,
        circuit.several,
        circuit.failed_job,
    ) == (
        0,
        None,
        None,
        False,
        None,
    )
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'circuit_closed'") == [
        (1,)
    ]


def test_one_job_alone_opens_no_circuit(settings: Any) -> None:
    with Receiver(http("503 Down")) as receiver:
        configure_endpoint(settings, receiver.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 12
        configure_profiles(
            {
                str(tier): {"transformer": "template", "options": {"template": "$payload"}}
                for tier in (2, 3)
            }
        )
        cycle = run_cycle(start_cycle(body=b"\xff"))
    assert cycle.status == "partial_success"
    assert len(receiver.requests) == 13
    assert EndpointState.objects.get().opened_at is None


def test_an_answer_below_500_says_that_the_receiver_is_up(settings: Any) -> None:
    with Receiver(
        *[http("404 No") if n % 5 == 4 else http("500 No") for n in range(60)], http("404 No")
    ) as receiver:
        configure_endpoint(settings, receiver.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 8
        configure_profiles(r0={"namespace": "n0"}, r1={"namespace": "n1"})
        for cycle in [start_cycle("r0"), start_cycle("r1")]:
            run_cycle(cycle)
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'circuit_opened'") == [
        (0,)
    ]
    assert DeadLetterDispatch.objects.filter(reason="retries_exhausted").count() == 6


def test_a_job_that_waited_a_day_for_an_open_circuit_is_dead_and_says_why(settings: Any) -> None:
    with Receiver(http("503 Down")) as receiver:
        ids = open_circuit(settings, receiver)
        run_due(seconds=1)
        requests = len(receiver.requests)
        execute(
            "UPDATE orbit_dispatchjob SET next_attempt_at = now() - interval '25 hours' WHERE "
            "cycle_id = %s",
            ids[0],
        )
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        run_due(seconds=1)
        # Due for so long, but not for that reason: the circuit opened just now.
        assert DeadLetterDispatch.objects.count() == 0
        execute("UPDATE orbit_endpointstate SET opened_at = now() - interval '25 hours'")
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        cycle = run_cycle(ids[0])
        assert len(receiver.requests) == requests
    assert cycle.status == "partial_success"
    letters = list(DeadLetterDispatch.objects.all())
    assert {(letter.reason, letter.cycle_id) for letter in letters} == {("endpoint_down", ids[0])}
    assert len(letters) == 3
    assert rows(
        "SELECT count(*) FROM governance_audittrailentry WHERE action = 'dead_letter.created'"
    ) == [(3,)]
    assert DispatchJob.objects.filter(status="pending").count() == 9


def test_halted_hours_do_not_count_towards_the_day(settings: Any) -> None:
    with Receiver(http("503 Down")) as receiver:
        ids = open_circuit(settings, receiver)
        run_due(seconds=1)
        execute(
            "UPDATE orbit_dispatchjob SET next_attempt_at = now() - interval '25 hours' WHERE "
            "cycle_id = %s",
            ids[0],
        )
        execute("UPDATE orbit_endpointstate SET opened_at = now() - interval '25 hours'")
        execute("""INSERT INTO governance_stop (kind, started_by, since, ended_at)
            VALUES ('pause', 'ann', now() - interval '20 hours', now() - interval '18 hours')""")
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        run_due(seconds=1)
        assert DeadLetterDispatch.objects.count() == 0
        execute("UPDATE governance_stop SET ended_at = since + interval '30 minutes'")
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        run_cycle(ids[0])
        assert DeadLetterDispatch.objects.filter(reason="endpoint_down").count() == 3


@pytest.mark.parametrize("status", ["429 Slow down", "503 Busy"])
def test_a_status_that_asks_to_wait_holds_the_whole_endpoint(settings: Any, status: str) -> None:
    busy = Busy(0)
    with Receiver(http(status, headers=["Retry-After: 1"]), busy) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=1)
        settings.ORBIT_DISPATCH_BACKOFF_CAP = 60
        configure_profiles()
        began = time.monotonic()
        cycle = run_cycle(start_cycle())
    assert cycle.status == "success"
    assert len(receiver.requests) == 4
    # The other two deliveries waited too.
    assert min(busy.at) - began >= 1
    assert sorted(DispatchJob.objects.values_list("spent", flat=True)) == [0, 0, 1]


def test_a_claim_that_fails_half_way_sends_the_claimed_jobs(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def away(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        raise OperationalError("gone")

    with Receiver(OK) as unlimited, Receiver(OK) as limited:
        configure_endpoints(settings, unlimited=unlimited.url, limited=limited.url)
        entries = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
            [entries[0], {**entries[1], "max_concurrency": 4}]
        )
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["unlimited", "limited"]})
        cycle_id = start_cycle()
        with monkeypatch.context() as patch:
            patch.setattr(claim, "claim_limited", away)
            settings.ORBIT_LEASE_SECONDS = 2
            run_due(seconds=0.5)
        assert calls
        assert len(unlimited.requests) == 3
        execute("UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()")
        assert run_cycle(cycle_id).status == "success"
    assert (len(unlimited.requests), len(limited.requests)) == (3, 3)
    assert CycleRun.objects.get().status == "success"


def test_after_a_day_in_which_orbit_was_off_a_probe_goes_before_anything_is_given_up(
    settings: Any,
) -> None:
    now: dict[str, bytes] = {"answer": http("503 Down")}
    with Receiver(lambda sock: sock.sendall(now["answer"])) as receiver:
        ids = open_circuit(settings, receiver)
        run_due(seconds=1)
        execute(
            "UPDATE orbit_dispatchjob SET next_attempt_at = next_attempt_at - interval '25 hours'"
        )
        execute(
            "UPDATE orbit_endpointstate SET opened_at = opened_at - interval '25 hours', "
            "probe_at = probe_at - interval '25 hours'"
        )
        execute("UPDATE orbit_cyclerun SET next_due_at = now()")
        now["answer"] = OK
        assert {run_cycle(cycle).status for cycle in ids} == {"success"}
    assert DeadLetterDispatch.objects.count() == 0


def test_a_job_that_is_due_for_days_is_sent_if_the_circuit_is_closed(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=1)
        configure_profiles()
        cycle_id = start_cycle()
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        execute("UPDATE orbit_dispatchjob SET next_attempt_at = now() - interval '25 hours'")
        execute("UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()")
        assert run_cycle(cycle_id).status == "success"


def test_an_abandoned_attempt_counts_against_a_cap_no_longer_than_a_request_can_last(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=1)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        start_cycle("r1")
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        assert len(dispatch.claim_jobs(cycle, limit=1, worker="dies")) == 1
        # No worker resumes it: its namespace is halted.
        execute(
            "INSERT INTO governance_governancesetting (namespace_id, mode, halt, changed_by, "
            "since) "
            "SELECT id, 'halting', true, 'x', now() FROM governance_namespace WHERE name = 'a' "
            "ON CONFLICT (namespace_id) DO UPDATE SET halt = true, mode = 'halting'"
        )
        execute("UPDATE orbit_deliveryreceipt SET started_at = now() - interval '301 seconds'")
        assert run_cycle(start_cycle("r2")).status == "success"


def test_a_slot_that_waits_for_a_cap_does_not_hold_its_worker(settings: Any) -> None:
    with Receiver(OK) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=1)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        start_cycle("r1")
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        assert len(dispatch.claim_jobs(cycle, limit=1, worker="slow")) == 1
        second = start_cycle("r2")
        run_due(seconds=0.1)
        # The worker is free again before the attempt that fills the cap has ended.
        assert rows("SELECT status FROM orbit_deliveryreceipt") == [("sending",)]
    waiting_cycle = CycleRun.objects.get(pk=second)
    assert (waiting_cycle.status, waiting_cycle.lease_owner) == ("running", None)
    assert waiting_cycle.next_due_at is not None


def test_an_inquiry_that_the_receiver_answers_closes_its_circuit(settings: Any) -> None:
    with Receiver(close) as receiver, Receiver(OK) as desk:
        configure_endpoint(settings, receiver.url, inquiry_url=f"{desk.url}/{{id}}")
        settings.ORBIT_DISPATCH_BACKOFF_BASE = settings.ORBIT_DISPATCH_BACKOFF_CAP = 60
        configure_profiles(**{f"r{n}": {"namespace": f"n{n}"} for n in range(4)})
        ids = [start_cycle(f"r{n}") for n in range(4)]
        until(
            lambda: run_due(seconds=1) and EndpointState.objects.get().opened_at,
            "the circuit isn't open",
        )
        execute("UPDATE orbit_dispatchjob SET next_attempt_at = now()")
        execute("UPDATE orbit_endpointstate SET probe_at = now()")
        execute("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", ids[0])
        assert {run_cycle(cycle).status for cycle in ids} == {"success"}
    assert (len(receiver.requests), len(desk.requests)) == (12, 12)
    assert EndpointState.objects.get().opened_at is None


def test_an_inquiry_that_another_host_answers_says_nothing_about_the_endpoint(
    settings: Any,
) -> None:
    with Receiver(close) as receiver, Receiver(OK) as desk:
        elsewhere = desk.url.replace("127.0.0.1", "localhost")
        configure_endpoint(settings, receiver.url, inquiry_url=f"{elsewhere}/{{id}}")
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
        configure_profiles()
        cycle_id = start_cycle()
        enqueue.save_configured()
        execute("UPDATE orbit_endpointstate SET failures = 5")
        assert run_cycle(cycle_id).status == "success"
    assert len(desk.requests) == 3
    assert EndpointState.objects.get().failures == 8  # five, and three that were closed


def test_a_success_that_is_no_probe_looks_for_no_waiting_cycles(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(claim, "wake_waiting_cycles", calls.append)
    with Receiver(OK) as receiver:
        configure_endpoint(settings, receiver.url, max_concurrency=2)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
    assert calls == []


def test_waking_waiting_cycles_that_fails_loses_no_answer(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def away(*args: Any) -> int:
        calls.append(args)
        raise OperationalError("gone")

    def slow(sock: socket.socket) -> None:
        time.sleep(0.5)
        sock.sendall(OK)

    with Receiver(OK) as fast, Receiver(slow) as slow_receiver:
        configure_endpoints(settings, fast=fast.url, slow=slow_receiver.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["fast", "slow"]})
        enqueue.save_configured()
        execute(
            "UPDATE orbit_endpointstate SET opened_at = now(), probe_at = now(), probe_wait = "
            "30, failures = 10 WHERE endpoint_key = 'fast'"
        )
        monkeypatch.setattr(claim, "wake_waiting_cycles", away)
        assert run_cycle(start_cycle()).status == "success"
        assert calls
        assert len(slow_receiver.requests) == 3
    assert rows("SELECT DISTINCT attempt, status FROM orbit_deliveryreceipt") == [(1, "delivered")]


def test_a_cycle_that_asked_just_before_the_circuit_closed_does_not_wait_for_the_next_probe(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoint(settings, receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        enqueue.save_configured()
        execute(
            "UPDATE orbit_endpointstate SET opened_at = now(), probe_at = now() + interval '300 "
            "seconds', probe_wait = 300, failures = 10"
        )
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        batch = claim.claim_limited(
            cycle, limit=9, worker="w", endpoints=dispatch.state().endpoints
        )
        assert batch.wait is not None
        # Now another cycle's probe succeeds, before this one is given back.
        execute(
            "UPDATE orbit_endpointstate SET opened_at = NULL, probe_at = NULL, probe_wait = "
            "NULL, failures = 0, next_turn_at = NULL"
        )
        assert claim.wake_waiting_cycles(EndpointState.objects.get().pk) == 1
        lease.give_back([cycle], wait=batch.wait)
        assert rows(
            "SELECT next_due_at <= clock_timestamp() FROM orbit_cyclerun WHERE id = %s", cycle_id
        ) == [(True,)]
        assert run_cycle(cycle_id).status == "success"
