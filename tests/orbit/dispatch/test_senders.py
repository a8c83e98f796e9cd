"""Slots take senders in turn, and no endpoint gets all of them while others are in use."""

import functools
import threading
import time
import uuid

import pytest

from orbit.dispatch.senders import FEWEST, SENDERS, UNHEARD, SenderPool
from tests.support.polling import until


def test_all_senders_are_taken_and_given_back() -> None:
    senders = SenderPool(4)
    assert senders.take(3, 1) == 3
    assert senders.take(3, 1) == 1
    assert senders.take(1, 0.01) == 0
    senders.give_back(4)
    assert senders.take(9, 1) == 4


def test_a_slot_that_needs_many_waits_a_moment_for_them_and_no_longer() -> None:
    senders = SenderPool(4)
    assert senders.take(4, 1) == 4
    threading.Timer(0.002, senders.give_back, [4]).start()
    assert senders.take(4, 1) == 4
    senders.give_back(1)
    # The others come back much later; a slot that waited for them would get four.
    others = threading.Timer(30, senders.give_back, [3])
    others.start()
    assert senders.take(4, 60) == 1
    others.cancel()


def test_a_slot_that_waits_for_the_first_sender_gets_it() -> None:
    senders = SenderPool(2)
    senders.take(2, 1)
    threading.Timer(0.1, senders.give_back, [1]).start()
    assert senders.take(2, 60) == 1


def test_slots_that_compete_for_senders_lose_none() -> None:
    senders, counts = SenderPool(SENDERS), []

    def slot() -> None:
        for _ in range(200):
            count = senders.take(5, 1)
            senders.give_back(count)
            counts.append(count)

    threads = [threading.Thread(target=slot) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(counts) == 1600
    assert senders.take(SENDERS, 1) == SENDERS


def test_one_endpoint_alone_may_have_all_senders_and_a_silent_one_among_several_its_share() -> None:
    senders, endpoints = SenderPool(), [uuid.uuid4() for _ in range(8)]
    senders.begin([endpoints[0]] * 15)
    assert senders.full() == []
    senders.begin([endpoints[1]])
    assert senders.full() == [endpoints[0]]
    senders.end(endpoints[0], 0.001)
    assert senders.full() == []
    senders.begin(endpoints[2:])
    for endpoint in endpoints[1:]:
        senders.end(endpoint, 0.9)
    senders.begin([endpoint for endpoint in endpoints[1:] for _ in range(FEWEST - 1)])
    assert senders.full() == []
    senders.begin(endpoints[1:])
    assert sorted(senders.full()) == sorted(endpoints[1:])


def test_an_endpoint_that_never_answered_gets_few_senders_until_it_does(
    monkeypatch,
) -> None:
    senders, (working, silent) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    senders.begin([working, *[silent] * UNHEARD])
    senders.end(working, 0.001)
    assert senders.full() == [silent]
    senders.end(silent, 10.0, answered=False)
    senders.begin([silent])
    assert senders.full() == [silent]
    senders.end(silent, 0.9)
    senders.begin([silent])
    assert senders.full() == []


def test_an_endpoint_that_stops_answering_is_silent_after_a_while(
    monkeypatch,
) -> None:
    senders, (working, silent) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    senders.begin([working, *[silent] * 14])
    senders.end(silent, 0.001)
    assert senders.silent_seconds() is None
    now += 1
    assert senders.full() == [silent]
    assert senders.silent_seconds() == pytest.approx(1)


def test_an_endpoint_that_was_not_used_for_a_while_takes_no_share_from_the_others(
    monkeypatch,
) -> None:
    senders, (working, silent) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    senders.begin([working, *[silent] * 13])
    senders.end(working, None)
    assert senders.full() == [silent]
    late = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: late)
    assert senders.full() == []


def test_a_thread_starts_with_the_task_that_finds_none_free() -> None:
    senders, gate, done = SenderPool(3), threading.Event(), list[int]()
    before = threading.active_count()

    def task(number: int) -> None:
        gate.wait(60)
        done.append(number)

    for number in range(5):
        senders.submit(functools.partial(task, number))
    assert threading.active_count() - before == 2
    gate.set()
    until(lambda: sorted(done) == list(range(5)))
    senders.submit(functools.partial(task, 5))
    until(lambda: len(done) == 6)
    assert threading.active_count() - before == 2


def test_without_a_thread_left_the_others_do_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    senders, gate, done = SenderPool(3), threading.Event(), list[int]()

    def task(number: int) -> None:
        gate.wait(60)
        done.append(number)

    monkeypatch.setattr(threading.Thread, "start", full)
    for number in range(3):
        senders.submit(functools.partial(task, number))
    gate.set()
    until(lambda: done == [0, 1, 2])
