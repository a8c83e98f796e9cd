"""Deliveries that begin in the write that enqueues them, and those that must not."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from governance.namespaces import halts
from orbit import interrupts
from orbit.cycles import lease, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import claim, endpoints, enqueue, first_wave
from orbit.dispatch.loop import Finished
from orbit.dispatch.senders import SENDERS
from orbit.interrupts import Slot, WorkerState
from orbit.models import EndpointSnapshot, EndpointState
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")

JOBS = "SELECT status, attempts, count(*) FROM orbit_dispatchjob GROUP BY 1, 2 ORDER BY 1"
RECEIPTS = "SELECT status, attempt, count(*) FROM orbit_deliveryreceipt GROUP BY 1, 2 ORDER BY 1, 2"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Have new senders and caches; leave new ones, because some tests keep senders."""
    dispatch.forget_caches()
    yield
    dispatch.forget_caches()


@pytest.fixture
def cycle(settings: Any) -> ClaimedCycle:
    """A claimed cycle whose endpoint doesn't answer."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/")
    configure_profiles()
    start_cycle()
    (claimed_cycle,) = lease.claim(1)
    return claimed_cycle


def save_snapshots(settings: Any, **urls: str) -> None:
    """Configure endpoints that are known already."""
    configure_endpoints(settings, **urls)
    targets = [key.replace("_", "-") for key in urls]
    configure_profiles(r1={"namespace": "a", "distribution_targets": targets})
    for endpoint in endpoints.configured().values():
        dispatch.state().fingerprints.get(endpoint)


def prepare(cycle: ClaimedCycle) -> list[str]:
    """Enqueue a cycle's deliveries; return the endpoints of those that begin, and send nothing."""
    begun = stages.prepare_in_one_write(CycleProgress(cycle), dispatch.state(), worker="w")
    return [job.endpoint_key for job in begun]


def free_senders() -> int:
    return dispatch.state().senders.take_free(SENDERS)


def test_quick_cycles_begin_their_deliveries_in_the_only_write_before_them(settings: Any) -> None:
    with Receiver(OK) as receiver:
        save_snapshots(settings, default_endpoint=receiver.url)
        start_cycle(body=b"body")
        (cycle,) = lease.claim(1)
        with CaptureQueriesContext(connection) as queries:
            result = stages.run(CycleProgress(cycle), dispatch=dispatch.state(), worker="w")
        assert isinstance(result, Finished)
        assert {item.status for item in result.results} == {"delivered"}
        assert len(queries) == 1
        assert len({request.headers["idempotency-key"] for request in receiver.requests}) == 3
        assert [request.body for request in receiver.requests] == [b"body"] * 3
    assert rows(JOBS) == [("sending", 1, 3)]
    assert rows(
        "SELECT DISTINCT r.worker, r.fencing_token, r.body_sha256 = i.sha256, r.xmin = j.xmin,"
        " j.next_attempt_at FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = "
        "r.job_id JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id"
    ) == [("w", cycle.token, True, True, None)]
    assert free_senders() == SENDERS


def test_delivery_ids_are_in_the_order_of_time(cycle: ClaimedCycle) -> None:
    """Random ones would cost a large index a page in memory and in WAL for each job."""
    prepare(cycle)
    by_job = "SELECT delivery_id FROM orbit_dispatchjob ORDER BY id"
    ids = [delivery_id for (delivery_id,) in rows(by_job)]
    assert (ids, {id_.version for id_ in ids}) == (sorted(ids), {7})


def test_a_large_body_is_sent_as_it_is_stored(settings: Any) -> None:
    body = json.dumps({"text": "x" * 3_000_000}).encode()
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle(body=body)).status == "success"
    assert [request.body for request in receiver.requests] == [body] * 3


def test_a_halt_that_the_worker_has_not_seen_keeps_all_deliveries_pending(
    cycle: ClaimedCycle,
) -> None:
    slot = WorkerState().open("a", read_at=interrupts.now())
    halts.halt("a", actor=SYSTEM)
    interrupts.enter(slot)
    slot.open_until = before = interrupts.now() + 0.7
    try:
        assert prepare(cycle) == []
        assert slot.open_until == before
    finally:
        interrupts.enter(Slot())
    assert rows(JOBS) == [("pending", 0, 3)]
    assert rows(RECEIPTS) == []
    assert (free_senders(), cycle.begun) == (SENDERS, [])


def test_a_write_that_begins_deliveries_shows_that_the_gate_was_open(cycle: ClaimedCycle) -> None:
    slot = WorkerState().open("a", read_at=interrupts.now())
    interrupts.enter(slot)
    slot.open_until = before = interrupts.now() + 0.3
    try:
        assert len(prepare(cycle)) == 3
        assert slot.open_until > before
    finally:
        interrupts.enter(Slot())


def stop(slot: Slot, process: WorkerState) -> None:
    slot.saw(is_open=False, read_at=interrupts.now())


def forget_the_gate(slot: Slot, process: WorkerState) -> None:
    slot.open_until = interrupts.now()


def lose_the_lease(slot: Slot, process: WorkerState) -> None:
    slot.held_until = interrupts.now()


def drain(slot: Slot, process: WorkerState) -> None:
    process.drain(0)


def be_alone(slot: Slot, process: WorkerState) -> None:
    process.alone = True


@pytest.mark.parametrize("change", [stop, forget_the_gate, lose_the_lease, drain, be_alone])
def test_a_slot_that_may_send_nothing_begins_nothing(
    cycle: ClaimedCycle,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Slot, WorkerState], None],
) -> None:
    process, add_to = WorkerState(), enqueue.add_to
    monkeypatch.setattr(interrupts, "process", process)
    slot = process.open("a", read_at=interrupts.now())
    interrupts.enter(slot)

    def changed_before_the_write(*args: Any, **kwargs: Any) -> Any:
        change(slot, process)
        return add_to(*args, **kwargs)

    monkeypatch.setattr(enqueue, "add_to", changed_before_the_write)
    assert prepare(cycle) == []
    assert rows(JOBS) == [("pending", 0, 3)]


def test_a_stop_between_the_write_and_the_requests_leaves_them_unsent(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, commit = WorkerState(), first_wave.commit
    monkeypatch.setattr(interrupts, "process", process)

    def stopped_behind_the_write(*args: Any, **kwargs: Any) -> Any:
        result = commit(*args, **kwargs)
        interrupts.slot().saw(is_open=False, read_at=interrupts.now())
        return result

    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (cycle,) = lease.claim(1)
        interrupts.enter(process.open("a", read_at=interrupts.now()))
        monkeypatch.setattr(first_wave, "commit", stopped_behind_the_write)
        with pytest.raises(interrupts.Interrupted):
            stages.run(CycleProgress(cycle), dispatch=dispatch.state(), worker="w")
        assert receiver.requests == []
    assert rows(RECEIPTS) == [("unsent", 1, 3)]
    assert rows("SELECT DISTINCT status, spent FROM orbit_dispatchjob") == [("pending", 0)]
    assert free_senders() == SENDERS


@pytest.mark.parametrize(
    "limit",
    [
        "max_concurrency = 2",
        "rate_per_second = 5",
        "hold_until = now() + interval '1 minute'",
        "opened_at = now(), probe_at = now() + interval '1 minute', probe_wait = 60",
    ],
)
def test_deliveries_to_a_limited_endpoint_wait_for_its_claim(settings: Any, limit: str) -> None:
    with Receiver(OK) as limited, Receiver(OK) as other:
        save_snapshots(settings, limited=limited.url, other=other.url)
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE orbit_endpointstate SET {limit} WHERE endpoint_key = 'limited'")
        start_cycle()
        (cycle,) = lease.claim(1)
        assert prepare(cycle) == ["other"] * 3
    assert rows(JOBS) == [("pending", 0, 3), ("sending", 1, 3)]
    dispatch.state().senders.give_back(3)
    assert free_senders() == SENDERS


def test_a_capped_endpoint_takes_no_sender_from_the_others(settings: Any) -> None:
    configure_endpoints(settings, capped="http://127.0.0.1:9/", other="http://localhost:9/")
    capped, other = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([{**capped, "max_concurrency": 9}, other])
    configure_profiles(r1={"namespace": "a", "distribution_targets": ["capped", "other"]})
    start_cycle()
    (cycle,) = lease.claim(1)
    dispatch.state().senders.take(SENDERS - 3, 1)
    assert prepare(cycle) == ["other"] * 3


def test_an_endpoint_with_its_share_of_the_senders_gets_no_delivery(settings: Any) -> None:
    save_snapshots(settings, full="http://127.0.0.1:9/", other="http://localhost:9/")
    senders, state = dispatch.state().senders, EndpointState.objects.get(endpoint_key="full")
    assert senders.take(16, 1) == 16
    senders.begin([state.pk] * 15)
    senders.begin([EndpointState.objects.get(endpoint_key="other").pk])
    assert senders.full() == [state.pk]
    start_cycle()
    (cycle,) = lease.claim(1)
    assert prepare(cycle) == ["other"] * 3


@pytest.mark.parametrize("free", [0, 1, 2])
def test_no_more_begin_than_senders_are_free(cycle: ClaimedCycle, free: int) -> None:
    assert dispatch.state().senders.take(SENDERS - free, 1) == SENDERS - free
    assert len(prepare(cycle)) == free
    assert rows("SELECT count(*) FROM orbit_dispatchjob WHERE status = 'pending'") == [(3 - free,)]
    assert free_senders() == 0


def test_a_slot_that_waits_for_senders_comes_first(cycle: ClaimedCycle) -> None:
    senders = dispatch.state().senders
    assert senders.take(SENDERS, 1) == SENDERS
    with senders._turn:
        senders.give_back(SENDERS)
        assert prepare(cycle) == []
    assert free_senders() == SENDERS


def test_what_the_first_wave_left_out_does_not_wait_for_its_answers(settings: Any) -> None:
    def slowly(sock: socket.socket) -> None:
        time.sleep(0.8)
        slow_ended.append(time.monotonic())
        sock.sendall(OK)

    def note(sock: socket.socket) -> None:
        capped_came.append(time.monotonic())
        sock.sendall(OK)

    slow_ended: list[float] = []
    capped_came: list[float] = []
    with Receiver(slowly) as slow, Receiver(note) as capped:
        configure_endpoints(settings, slow=slow.url, capped=capped.url)
        first, second = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([first, {**second, "max_concurrency": 3}])
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["slow", "capped"]})
        assert run_cycle(start_cycle()).status == "success"
    assert len(capped_came) == len(slow_ended) == 3
    assert max(capped_came) < min(slow_ended)


def test_a_worker_that_dies_behind_the_write_leaves_unknown_attempts_that_are_sent_again(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (cycle,) = lease.claim(1)
        assert len(prepare(cycle)) == 3
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        keys = rows("SELECT delivery_id::text FROM orbit_dispatchjob ORDER BY 1")
        assert run_cycle(cycle_id).status == "success"
        sent = sorted(request.headers["idempotency-key"] for request in receiver.requests)
    assert [(key,) for key in sent] == keys
    assert rows(RECEIPTS) == [("delivered", 2, 3), ("unknown", 1, 3)]


def test_a_fenced_write_begins_nothing_and_keeps_no_sender(cycle: ClaimedCycle) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET fencing_token = fencing_token + 1")
    with pytest.raises(Fenced):
        prepare(cycle)
    assert rows(JOBS) == []
    assert (free_senders(), cycle.begun) == (SENDERS, [])


def test_a_write_without_an_answer_keeps_no_sender_and_is_adopted(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = fence.commit

    def commit_in_vain(write: fence.FencedWrite) -> Any:
        commit(write)
        raise OperationalError("no answer")

    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        start_cycle()
        (cycle,) = lease.claim(1)
        with monkeypatch.context() as patch:
            patch.setattr(fence, "commit", commit_in_vain)
            with pytest.raises(OperationalError):
                prepare(cycle)
        assert (free_senders(), len(cycle.begun)) == (SENDERS, 3)
        result = claim.adopt(cycle, limit=16, endpoints=dispatch.state().endpoints)
        assert (len(result.jobs), cycle.begun) == (3, [])


def test_a_worker_without_a_free_file_descriptor_still_delivers(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("orbit.dispatch.in_flight.os.pipe", full)
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        assert len(receiver.requests) == 3
    assert free_senders() == SENDERS


def test_a_write_that_finds_no_snapshot_is_made_again_with_its_deliveries_begun(
    settings: Any,
) -> None:
    save_snapshots(settings, default_endpoint="http://127.0.0.1:9/")
    EndpointSnapshot.objects.all().delete()
    start_cycle()
    (cycle,) = lease.claim(1)
    assert prepare(cycle) == ["default-endpoint"] * 3
    assert rows(JOBS) == [("sending", 1, 3)]
    dispatch.state().senders.give_back(3)
    assert free_senders() == SENDERS
