"""Cycles wait for an endpoint that takes nothing now, and other deliveries go on."""

import json
import socket
import time
import uuid
from typing import Any

import pytest
from django.db import connection

from orbit.cycles import lease
from orbit.dispatch import claim, enqueue
from orbit.dispatch.claim import Backlog, ClaimedJob
from orbit.dispatch.senders import SenderPool
from orbit.dispatch.state import EndpointQueue
from orbit.models import EndpointState
from orbit.records.fence import ClaimedCycle
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

OPEN = """UPDATE orbit_endpointstate
SET opened_at = now(), probe_at = now() + interval '290 seconds', probe_wait = 300, failures = 10
WHERE endpoint_key = 'down'"""
HALT = """UPDATE governance_governancesetting SET halt = %s, mode = %s
WHERE namespace_id = (SELECT id FROM governance_namespace WHERE name = 'a')"""


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def claim_unlimited(cycle: ClaimedCycle) -> tuple[list[ClaimedJob], Backlog]:
    return claim.claim_unlimited(cycle, limit=9, worker="w", endpoints=dispatch.state().endpoints)


@pytest.mark.usefixtures("committed")
def test_an_endpoint_that_is_down_holds_up_no_delivery_to_a_busy_one(
    settings: Any,
) -> None:
    def slow(sock: socket.socket) -> None:
        time.sleep(0.3)
        sock.sendall(OK)

    with Receiver(OK) as down, Receiver(slow) as busy, Receiver(OK) as idle:
        dispatch.forget_caches()
        configure_endpoints(settings, down=down.url, busy=busy.url, idle=idle.url)
        configure_profiles(
            **{
                f"r{n}": {"namespace": f"n{n}", "distribution_targets": ["down", "busy", "idle"]}
                for n in range(10)
            }
        )
        enqueue.save_configured()
        execute(OPEN)
        for n in range(10):
            start_cycle(f"r{n}")

        def all_are_delivered() -> bool:
            run_due(seconds=0.5)
            return len(busy.requests) >= 30

        until(all_are_delivered, "not all deliveries to the busy endpoint were sent")
        assert (len(down.requests), len(busy.requests), len(idle.requests)) == (0, 30, 30)


@pytest.mark.usefixtures("committed")
def test_a_closed_gate_is_not_reported_as_an_open_circuit(settings: Any) -> None:
    with Receiver(OK) as down, Receiver(OK) as working:
        configure_endpoints(settings, down=down.url, working=working.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["down", "working"]})
        enqueue.save_configured()
        execute(OPEN)
        start_cycle("r1")
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        execute(HALT, True, "halting")
        assert claim_unlimited(cycle) == ([], Backlog())
        execute(HALT, False, "running")
        jobs, backlog = claim_unlimited(cycle)
        assert [job.endpoint_key for job in jobs] == ["working"] * 3
        assert backlog.limited == EndpointState.objects.get(endpoint_key="down").pk
        assert backlog.wait == pytest.approx(290, abs=5)


@pytest.mark.usefixtures("committed")
def test_a_limited_endpoint_that_does_not_answer_gets_only_its_share(settings: Any) -> None:
    with Receiver(OK) as working, Receiver(OK) as silent:
        configure_endpoints(settings, working=working.url, silent=silent.url)
        first, second = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([first, {**second, "rate_per_second": 1000}])
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["working", "silent"]})
        enqueue.save_configured()
        quiet = EndpointState.objects.get(endpoint_key="silent").pk
        senders = SenderPool()
        senders.take(3, 0)
        senders.begin([quiet, quiet, EndpointState.objects.get(endpoint_key="working").pk])
        assert senders.full() == [quiet]
        start_cycle("r1")
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        batch = claim.claim(
            cycle,
            limit=senders.take(8, 0),
            worker="w",
            endpoints=dispatch.state().endpoints,
            full=senders.full(),
        )
        assert [job.endpoint_key for job in batch.jobs] == ["working"] * 3
        assert batch.shared
    assert rows(
        "SELECT count(*) FROM orbit_dispatchjob "
        "WHERE status = 'pending' AND endpoint_key = 'silent'"
    ) == [(3,)]


def test_cycles_that_wait_for_an_endpoint_come_back_one_after_another() -> None:
    queue, endpoint = EndpointQueue(), uuid.uuid4()
    turns = [queue.join(endpoint, 30.0) for _ in range(100)]
    assert turns == sorted(turns)
    assert turns[0] == 30.0
    assert turns[-1] == pytest.approx(32, abs=0.1)


def test_no_queue_is_longer_than_a_minute_and_another_wait_starts_another_queue() -> None:
    queue, endpoint = EndpointQueue(), uuid.uuid4()
    turns = [queue.join(endpoint, 30.0) for _ in range(20_000)]
    assert max(turns) < 91
    assert queue.join(endpoint, 1.0) == 1.0


@pytest.mark.usefixtures("committed")
def test_all_waiting_cycles_are_woken_in_batches(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "WAKE_BATCH", 2)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, receiver=receiver.url)
        configure_profiles(
            **{
                f"r{n}": {"namespace": f"n{n}", "distribution_targets": ["receiver"]}
                for n in range(5)
            }
        )
        for n in range(5):
            start_cycle(f"r{n}")
        for cycle in lease.claim(5):
            dispatch.enqueue_deliveries(cycle)
            lease.give_back([cycle], wait=3600)
        assert claim.wake_waiting_cycles(EndpointState.objects.get().pk) == 5
    assert rows("SELECT count(*) FROM orbit_cyclerun WHERE next_due_at <= clock_timestamp()") == [
        (5,)
    ]
