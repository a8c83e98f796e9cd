"""What a lane knows of the gate, and what it does with it."""

import threading
import time
from collections.abc import Iterator

import pytest

from orbit import boundary
from orbit.boundary import Boundary, Lane, Stop


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Boundary]:
    own = Boundary()
    own.watched = True
    monkeypatch.setattr(boundary, "process", own)
    yield own
    boundary.enter(Lane())


def test_a_claim_is_a_look_at_the_gate_that_holds_for_three_quarters_of_a_second(
    process: Boundary,
) -> None:
    lane = process.open("a", asked=boundary.now())
    assert lane.open
    old = process.open("a", asked=boundary.now() - boundary.FRESH_SECONDS)
    assert not old.open
    assert not old.stopped
    old.saw(is_open=True, asked=boundary.now())
    assert old.open
    old.saw(
        is_open=True, asked=boundary.now() - 10
    )  # an answer that was long under way makes nothing older
    assert old.open


def test_who_was_stopped_stays_stopped_though_the_gate_opens_again(process: Boundary) -> None:
    lane = process.open("a", asked=boundary.now())
    lane.saw(is_open=False, asked=boundary.now())
    lane.saw(is_open=True, asked=boundary.now())
    assert not lane.open
    boundary.enter(lane)
    with pytest.raises(Stop):
        boundary.check()


def test_where_nobody_watches_claims_alone_ask(process: Boundary) -> None:
    process.watched = False
    lane = process.open("a", asked=boundary.now() - 3600)
    boundary.enter(lane)
    boundary.check(leaves=True)
    assert lane.open


def test_a_look_that_is_too_old_stops_only_what_leaves_the_process(
    process: Boundary, settings
) -> None:
    settings.ORBIT_LEASE_SECONDS = 0.2
    lane = process.open("a", asked=boundary.now() - 10)
    boundary.enter(lane)
    boundary.check()
    began = time.monotonic()
    with pytest.raises(Stop):
        boundary.check(leaves=True)
    assert time.monotonic() - began >= 0.2


def test_a_look_that_comes_meanwhile_lets_it_go_on(process: Boundary) -> None:
    lane = process.open("a", asked=boundary.now() - 10)
    boundary.enter(lane)
    threading.Timer(0.1, lambda: lane.saw(is_open=True, asked=boundary.now())).start()
    boundary.check(leaves=True)
    assert lane.open


def test_lanes_are_known_from_their_claim_to_their_end(process: Boundary) -> None:
    one, two = process.open("a", asked=boundary.now()), process.open("b", asked=boundary.now())
    assert set(process.lanes) == {one, two}
    process.close(one)
    process.close(one)
    assert process.lanes == [two]
