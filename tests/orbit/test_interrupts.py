"""Slots keep the last answer of the gate, and are interrupted when it closes or is too old."""

import threading
import time
from collections.abc import Iterator

import pytest

from orbit import interrupts
from orbit.interrupts import Interrupted, Slot, WorkerState


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    state = WorkerState()
    state.watched = True
    monkeypatch.setattr(interrupts, "process", state)
    # A clock that stands still: no answer gets old because the machine is slow.
    monkeypatch.setattr(interrupts, "now", lambda: 1000.0)
    yield state
    interrupts.enter(Slot())


def test_an_answer_of_the_gate_holds_for_a_limited_time(
    process: WorkerState,
) -> None:
    slot = process.open("a", read_at=interrupts.now())
    assert slot.open
    old = process.open("a", read_at=interrupts.now() - interrupts.FRESH_SECONDS)
    assert not old.open
    assert not old.stopped
    old.saw(is_open=True, read_at=interrupts.now())
    assert old.open
    # An answer to an older question doesn't shorten the time.
    old.saw(is_open=True, read_at=interrupts.now() - 10)
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


def test_a_new_answer_lets_waiting_work_go_on(process: WorkerState) -> None:
    slot = process.open("a", read_at=interrupts.now() - 10)
    interrupts.enter(slot)
    threading.Timer(0.1, lambda: slot.saw(is_open=True, read_at=interrupts.now())).start()
    interrupts.check(leaves=True)
    assert slot.open


def test_a_slot_is_listed_until_it_is_closed(process: WorkerState) -> None:
    first, second = (
        process.open("a", read_at=interrupts.now()),
        process.open("b", read_at=interrupts.now()),
    )
    assert set(process.slots) == {first, second}
    process.close(first)
    process.close(first)
    assert process.slots == [second]
