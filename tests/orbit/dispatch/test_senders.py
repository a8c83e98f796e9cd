"""Who gets the sender threads: lanes in turn, and no receiver all of them while others are in use."""

import threading
import time
import uuid

import pytest

from orbit.dispatch.senders import FEWEST, SENDERS, UNHEARD, SenderPool


def test_all_are_given_out_and_come_back() -> None:
    senders = SenderPool(4)
    assert senders.take(3, 1) == 3
    assert senders.take(3, 1) == 1
    assert senders.take(1, 0.01) == 0
    senders.give_back(4)
    assert senders.take(9, 1) == 4


def test_who_wants_many_waits_a_moment_for_them_and_no_longer() -> None:
    senders = SenderPool(4)
    assert senders.take(4, 1) == 4
    threading.Timer(0.002, senders.give_back, [4]).start()
    assert senders.take(4, 1) == 4
    senders.give_back(1)
    began = time.monotonic()
    assert senders.take(4, 1) == 1
    assert time.monotonic() - began < 0.5


def test_who_waits_for_the_first_one_gets_it() -> None:
    senders = SenderPool(2)
    senders.take(2, 1)
    threading.Timer(0.1, senders.give_back, [1]).start()
    assert senders.take(2, 5) == 1


def test_lanes_that_fight_for_them_lose_none() -> None:
    senders, done = SenderPool(SENDERS), []

    def slot() -> None:
        for _ in range(200):
            taken = senders.take(5, 1)
            senders.give_back(taken)
            done.append(taken)

    threads = [threading.Thread(target=slot) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 1600
    assert senders.take(SENDERS, 1) == SENDERS


def test_a_receiver_alone_may_have_all_and_among_several_one_that_does_not_answer_its_share() -> (
    None
):
    senders, receivers = SenderPool(), [uuid.uuid4() for _ in range(8)]
    senders.begin([receivers[0]] * 15)
    assert senders.full() == []
    senders.begin([receivers[1]])
    assert senders.full() == [receivers[0]]
    senders.end(receivers[0], 0.001)
    assert senders.full() == []
    senders.begin(receivers[2:])
    for receiver in receivers[1:]:
        senders.end(receiver, 0.9)
    senders.begin([receiver for receiver in receivers[1:] for _ in range(FEWEST - 1)])
    assert senders.full() == []
    senders.begin(receivers[1:])
    assert sorted(senders.full()) == sorted(receivers[1:])


def test_one_from_which_nothing_was_heard_yet_gets_few_among_several_until_it_answers(
    monkeypatch,
) -> None:
    senders, (one, two) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    senders.begin([one, *[two] * UNHEARD])
    senders.end(one, 0.001)
    assert senders.full() == [two]
    senders.end(two, 10.0, answered=False)
    senders.begin([two])
    assert senders.full() == [two]
    senders.end(two, 0.9)
    senders.begin([two])
    assert senders.full() == []


def test_one_that_gives_no_answer_hangs_after_a_while_and_one_that_stops_to_answer_too(
    monkeypatch,
) -> None:
    senders, (one, two) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    began = time.monotonic()
    senders.begin([one, *[two] * 14])
    senders.end(two, 0.001)
    assert senders.silent_seconds() is None
    monkeypatch.setattr(time, "monotonic", lambda: began + 1)
    assert senders.full() == [two]
    assert senders.silent_seconds() == pytest.approx(1, abs=0.1)


def test_one_that_has_not_been_used_for_a_while_takes_nothing_from_the_others(monkeypatch) -> None:
    senders, (one, two) = SenderPool(), [uuid.uuid4() for _ in range(2)]
    senders.begin([one, *[two] * 13])
    senders.end(one, None)
    assert senders.full() == [two]
    late = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: late)
    assert senders.full() == []
