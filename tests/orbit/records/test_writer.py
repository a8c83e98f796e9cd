"""The coalescing writer: what shares a statement, and how each of it ends."""

import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import DataError, connection

from orbit.cycles import stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import state as dispatch_state
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.state import DispatchState
from orbit.models import CycleRun
from orbit.records import fence, writer
from orbit.records.fence import ClaimedCycle, Collided, Fenced
from orbit_site.processes.postgres import Server
from tests.support.pipeline import (
    rows,
)
from tests.support.shared_writes import (
    ENQUEUED,
    claim,
    prepare,
    together,
)

pytestmark = pytest.mark.usefixtures("committed")

BATCH = 64


def test_writes_that_come_together_share_a_statement(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 5)
    with together(cycles) as ends:
        assert [end.result() for end in ends] == [None] * 5
    assert batches == [5]
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in cycles}
    # Each cycle has its own rows: three jobs, and the body that its tiers made.
    assert rows("SELECT cycle_id, count(*) FROM orbit_dispatchjob GROUP BY 1 ORDER BY 1") == sorted(
        (cycle.id, 3) for cycle in cycles
    )


def test_payloads_stay_with_their_cycles(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 4)
    for cycle in cycles:
        cycle.input = f'{{"of":"{cycle.id}"}}'.encode()
    with together(cycles) as ends:
        for end in ends:
            end.result()
    stored = rows(
        "SELECT b.cycle_id, convert_from(i.payload, 'UTF8') FROM orbit_normalizationitem i"
        " JOIN orbit_normalizationbatch b ON b.id = i.batch_id"
    )
    assert Counter(stored) == {(cycle.id, f'{{"of":"{cycle.id}"}}'): 3 for cycle in cycles}


def test_each_cycle_of_a_batch_begins_its_own_deliveries(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    state = DispatchState()
    cycles = claim(settings, 4)
    for cycle in cycles:
        cycle.input = f'{{"of":"{cycle.id}"}}'.encode()

    def begin(cycle: ClaimedCycle) -> list[ClaimedJob]:
        return stages.prepare_in_one_write(CycleProgress(cycle), state, worker="w")

    with together(cycles, begin) as ends:
        begun = [end.result() for end in ends]
    assert batches == [4]
    for cycle, jobs in zip(cycles, begun, strict=True):
        assert [(job.cycle_id, job.body) for job in jobs] == [(cycle.id, cycle.input)] * 3
        receipts = rows(
            "SELECT r.id, r.job_id, r.fencing_token FROM orbit_deliveryreceipt r"
            " JOIN orbit_dispatchjob j ON j.id = r.job_id"
            " WHERE j.cycle_id = %s AND r.status = 'sending' AND j.status = 'sending'",
            cycle.id,
        )
        assert set(receipts) == {(job.receipt_id, job.job_id, cycle.token) for job in jobs}


def test_one_cycle_alone_does_not_wait(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    with together(claim(settings, 1)) as (end,):
        end.result(timeout=30)


def test_a_resumed_cycle_waits_for_no_other_and_no_other_for_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may kill this worker: until then each must have written what it has."""
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    slow, resumed, usual = cycles = claim(settings, 3)
    slow.resumed = resumed.resumed = True
    release = threading.Event()

    def act(cycle: ClaimedCycle) -> None:
        if cycle is slow:
            assert release.wait(60)
        prepare(cycle)

    with together(cycles, act) as ends:
        for end in ends[1:]:
            end.result(timeout=30)
        release.set()
    assert usual.resumes == 0


def test_a_slot_that_waits_for_a_receiver_holds_up_no_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    first, second = claim(settings, 2)
    is_prepared = threading.Event()

    def act(cycle: ClaimedCycle) -> None:
        if cycle is first:
            with fence.away():
                assert is_prepared.wait(30)
        prepare(cycle)
        is_prepared.set()

    with together([first, second], act) as ends:
        for end in ends:
            end.result(timeout=60)


def test_a_slot_that_sleeps_before_a_retry_holds_up_no_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    first, second = claim(settings, 2)
    is_prepared, state = threading.Event(), DispatchState()
    sleeping = SimpleNamespace(sleep=lambda seconds: is_prepared.wait(30))
    monkeypatch.setattr(dispatch_state, "time", sleeping)

    def act(cycle: ClaimedCycle) -> None:
        if cycle is first:
            assert state.sleep(0.5)
            assert is_prepared.is_set()
        prepare(cycle)
        is_prepared.set()

    with together([first, second], act) as ends:
        for end in ends:
            end.result(timeout=60)


def test_of_a_batch_of_64_each_cycle_ends_as_it_would_alone(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, BATCH)
    fenced, large, doubled, *good = cycles
    large.input_content_type = "x" * 1000
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET fencing_token = 7 WHERE id = %s", [fenced.id])
        cursor.execute(
            "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)"
            " VALUES (%s, 'dispatch_enqueued', 1)",
            [doubled.id],
        )
    with together(cycles) as ends:
        errors = [type(end.exception()) for end in ends]
    assert errors == [Fenced, DataError, Collided, *[type(None)] * (BATCH - 3)]
    assert batches == [BATCH]
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in [doubled, *good]}
    jobs = "SELECT cycle_id, count(*) FROM orbit_dispatchjob GROUP BY 1"
    assert dict(rows(jobs)) == {cycle.id: 3 for cycle in good}
    records = "SELECT DISTINCT cycle_id FROM orbit_executionrecord WHERE event = 'cycle_started'"
    assert {id_ for (id_,) in rows(records)} == {cycle.id for cycle in good}


def test_a_fenced_cycle_falls_out_of_its_batch_alone(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    fenced, *good = cycles = claim(settings, 4)
    CycleRun.objects.filter(pk=fenced.id).update(fencing_token=7)
    with together(cycles) as ends:
        assert isinstance(ends[0].exception(), Fenced)
        assert [end.exception() for end in ends[1:]] == [None] * 3
    assert batches == [4]  # the others weren't written a second time
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in good}


def test_a_locked_cycle_does_not_hold_up_the_others(
    settings: Any, server: Server, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    locked, *_ = cycles = claim(settings, 4)
    with psycopg.connect(server.url("orbit_app", committed)) as locker:
        locker.execute("SELECT 1 FROM orbit_cyclerun WHERE id = %s FOR UPDATE", [locked.id])
        with together(cycles) as ends:
            for end in ends[1:]:
                end.result(timeout=30)
            assert not ends[0].done()
            locker.rollback()
            ends[0].result(timeout=30)
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in cycles}


def test_a_large_write_and_a_resumed_cycle_share_no_statement(
    settings: Any, batches: list[int]
) -> None:
    large, resumed, usual = cycles = claim(settings, 3)
    large.input = b" " * (writer.LARGE + 1)
    resumed.resumed = True
    with together(cycles) as ends:
        for end in ends:
            end.result(timeout=60)
    assert batches == [1]
    assert {id_ for (id_,) in rows(ENQUEUED)} == {cycle.id for cycle in cycles}
    assert usual.resumes == 0


def test_a_cycle_never_comes_twice_in_a_batch(settings: Any) -> None:
    (cycle,) = claim(settings, 1)
    (zombie,) = [ClaimedCycle(**{name: getattr(cycle, name) for name in cycle.__slots__})]
    writes = [fence.FencedWrite(each, "SELECT") for each in (cycle, zombie)]
    waiting = [writer._Waiting(write, 0) for write in writes]
    assert [len(batch) for batch in writer.batches(waiting)] == [1, 1]


def test_a_batch_is_bounded_by_its_payloads(settings: Any) -> None:
    cycles = claim(settings, 3)
    half = writer.MOST_BYTES // 2
    waiting = [
        writer._Waiting(fence.FencedWrite(cycle, "SELECT"), size)
        for cycle, size in zip(cycles, (half, half, 1), strict=True)
    ]
    assert [len(batch) for batch in writer.batches(waiting)] == [2, 1]
