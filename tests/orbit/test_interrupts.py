"""What a slot knows of the gate, and when it is interrupted."""

import threading
import time
from collections.abc import Iterator

import pytest

from orbit import interrupts
from orbit.interrupts import Interrupted, Slot, WorkerState


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    own = WorkerState()
    own.watched = True
    monkeypatch.setattr(interrupts, "process", own)
    yield own
    interrupts.enter(Slot())


def test_a_claims_answer_of_the_gate_holds_for_three_quarters_of_a_second(
    process: WorkerState,
) -> None:
    slot = process.open("a", read_at=interrupts.now())
    assert slot.open
    old = process.open("a", read_at=interrupts.now() - interrupts.FRESH_SECONDS)
    assert not old.open
    assert not old.stopped
    old.saw(is_open=True, read_at=interrupts.now())
    assert old.open
    old.saw(
        is_open=True, read_at=interrupts.now() - 10
    )  # an answer that was long under way makes nothing older
    assert old.open


def test_a_stopped_slot_stays_stopped_if_the_gate_opens_again(process: WorkerState) -> None:
    slot = process.open("a", read_at=interrupts.now())
    slot.saw(is_open=False, read_at=interrupts.now())
    slot.saw(is_open=True, read_at=interrupts.now())
    assert not slot.open
    interrupts.enter(slot)
    with pytest.raises(Interrupted):
        interrupts.check()


def test_without_a_gate_monitor_only_claims_ask_the_gate(process: WorkerState) -> None:
    process.watched = False
    slot = process.open("a", read_at=interrupts.now() - 3600)
    interrupts.enter(slot)
    interrupts.check(leaves=True)
    assert slot.open


def test_an_answer_that_is_too_old_stops_only_what_leaves_the_process(
    process: WorkerState, settings
) -> None:
    settings.ORBIT_LEASE_SECONDS = 0.2
    slot = process.open("a", read_at=interrupts.now() - 10)
    interrupts.enter(slot)
    interrupts.check()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        interrupts.check(leaves=True)
    assert time.monotonic() - began >= 0.2


def test_an_answer_that_comes_meanwhile_lets_the_work_go_on(process: WorkerState) -> None:
    slot = process.open("a", read_at=interrupts.now() - 10)
    interrupts.enter(slot)
    threading.Timer(0.1, lambda: slot.saw(is_open=True, read_at=interrupts.now())).start()
    interrupts.check(leaves=True)
    assert slot.open


def test_slots_are_known_from_their_claim_to_their_end(process: WorkerState) -> None:
    one, two = (
        process.open("a", read_at=interrupts.now()),
        process.open("b", read_at=interrupts.now()),
    )
    assert set(process.slots) == {one, two}
    process.close(one)
    process.close(one)
    assert process.slots == [two]
