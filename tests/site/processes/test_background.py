"""A thread beside other tasks rests until its pause is over, or until it is woken."""

import threading
import time
from collections.abc import Iterator

import pytest

from orbit import interrupts
from orbit.interrupts import WorkerState
from orbit_site.processes import background
from orbit_site.processes.background import Background, Rest
from tests.support.polling import until

pytestmark = pytest.mark.usefixtures("committed")


class Rounds:
    """When rounds began; the first ``failures`` of them fail."""

    def __init__(self, failures: int = 0) -> None:
        self.began: list[float] = []
        self._failures = failures

    def work(self, _: Background) -> float:
        self.began.append(time.monotonic())
        if len(self.began) <= self._failures:
            raise ValueError("it fails")
        return 600.0


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    state = WorkerState()
    monkeypatch.setattr(interrupts, "process", state)
    yield state
    state.drain(0)


def thread(rounds: Rounds) -> Background:
    new = Background("test", "It failed", rounds.work, longest_round=60.0)
    new.watch()
    until(lambda: rounds.began, "it doesn't begin")
    return new


def test_it_works_when_it_is_woken_and_ends_without_its_pause(process: WorkerState) -> None:
    rounds = Rounds()
    resting = thread(rounds)
    resting.wake()
    until(lambda: len(rounds.began) == 2, "it goes on resting")
    resting.end(60.0)
    assert len(rounds.began) == 2


def test_it_is_not_woken_out_of_the_pause_after_a_failure(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "FIRST_BACKOFF_SECONDS", 1.0)
    rounds = Rounds(failures=1)
    failing = thread(rounds)
    for _ in range(5):
        failing.wake()
        time.sleep(0.05)
    until(lambda: len(rounds.began) == 2, "it gives up")
    failing.end(60.0)
    first, second = rounds.began
    assert second - first >= 1.0


def test_an_end_right_before_a_round_is_not_forgotten(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_ending = Rest.is_ending

    def end_after_the_look(self: Rest) -> bool:
        answer = is_ending(self)
        self.end()
        return answer

    rounds = Rounds()
    resting = Background("ended early", "It failed", rounds.work, longest_round=60.0)
    with monkeypatch.context() as patched:
        patched.setattr(Rest, "is_ending", end_after_the_look)
        resting.watch()
        until(lambda: rounds.began, "it doesn't begin")
    until(
        lambda: "ended early" not in {each.name for each in threading.enumerate()},
        "it goes on resting",
    )
