"""How many deliveries may go now: caps, circuit, a pause that was asked for, and turns."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from orbit.dispatch import limits
from orbit.dispatch.limits import EndpointLimits, EndpointObservation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FREE = EndpointLimits(uuid.uuid4(), None, None, None, None, None, None, None, None)


def endpoint_limits(**values: object) -> EndpointLimits:
    return EndpointLimits(**{**{name: getattr(FREE, name) for name in FREE.__slots__}, **values})


def test_without_a_cap_everything_goes() -> None:
    allowance = limits.allow(FREE, now=NOW, in_flight=1000, due=16)
    assert (allowance.count, allowance.again_at, allowance.limits) == (16, None, FREE)


def test_max_concurrency_counts_requests_in_flight() -> None:
    capped = endpoint_limits(max_concurrency=3)
    assert limits.allow(capped, now=NOW, in_flight=1, due=5).count == 2
    full = limits.allow(capped, now=NOW, in_flight=4, due=5)
    assert full.count == 0
    assert full.again_at is not None
    assert full.again_at > NOW


def test_a_rate_is_kept_over_any_second_but_for_a_burst_of_a_tenth() -> None:
    state, starts = endpoint_limits(rate_per_second=20.0), []
    for tick in range(400):
        now = NOW + timedelta(milliseconds=10 * tick)
        allowance = limits.allow(state, now=now, in_flight=0, due=100)
        state = allowance.limits
        starts += [now] * allowance.count
    assert 80 <= len(starts) <= 82
    for start in starts:
        assert sum(start <= at < start + timedelta(seconds=1) for at in starts) <= 22


def test_again_at_is_when_the_rate_lets_the_next_delivery_go() -> None:
    for rate in (0.1, 0.3, 1.0, 3.0, 7.0, 50.0, 333.0):
        state = limits.allow(
            endpoint_limits(rate_per_second=rate), now=NOW, in_flight=0, due=1000
        ).limits
        refusal = limits.allow(state, now=NOW, in_flight=0, due=1)
        assert refusal.count == 0
        assert refusal.again_at is not None
        assert limits.allow(refusal.limits, now=refusal.again_at, in_flight=0, due=1).count == 1


def test_an_open_circuit_lets_one_probe_through_and_doubles_the_wait_up_to_five_minutes() -> None:
    state = endpoint_limits(opened_at=NOW, probe_at=NOW + timedelta(seconds=30), probe_wait=30.0)
    early = limits.allow(state, now=NOW, in_flight=0, due=5)
    assert (early.count, early.again_at) == (0, state.probe_at)
    waits, at = [], state.probe_at
    for _ in range(5):
        assert at is not None
        allowance = limits.allow(state, now=at, in_flight=0, due=5)
        assert allowance.count == 1
        assert limits.allow(allowance.limits, now=at, in_flight=0, due=5).count == 0
        state = allowance.limits
        assert state.probe_at is not None
        waits.append((state.probe_at - at).total_seconds())
        at = state.probe_at
    assert waits == [60, 120, 240, 300, 300]


def test_time_in_which_orbit_was_off_does_not_count_as_down() -> None:
    state = endpoint_limits(opened_at=NOW, probe_at=NOW + timedelta(minutes=5), probe_wait=300.0)
    assert state.probe_at is not None
    soon = limits.allow(state, now=state.probe_at + timedelta(seconds=2), in_flight=0, due=1)
    assert soon.limits.opened_at == NOW
    away = limits.allow(state, now=state.probe_at + timedelta(days=2), in_flight=0, due=1)
    assert (away.count, away.limits.opened_at) == (1, NOW + timedelta(days=2))


def test_an_endpoint_that_asked_for_a_pause_gets_none_until_it_is_over() -> None:
    state = endpoint_limits(hold_until=NOW + timedelta(seconds=7))
    assert limits.allow(state, now=NOW, in_flight=0, due=1).again_at == state.hold_until
    assert limits.allow(state, now=NOW + timedelta(seconds=7), in_flight=0, due=1).count == 1


def test_waiters_come_back_one_after_another() -> None:
    state, turns = endpoint_limits(max_concurrency=1), []
    for _ in range(100):
        allowance = limits.allow(state, now=NOW, in_flight=1, due=1)
        state = allowance.limits
        turns.append(allowance.again_at)
    assert turns == sorted(set(turns))  # type: ignore[type-var]
    assert (turns[-1] - turns[0]).total_seconds() == pytest.approx(99 * limits.SHORTEST_TURN)  # type: ignore[operator]


def test_waiters_come_back_as_fast_as_places_become_free() -> None:
    state, turns = endpoint_limits(max_concurrency=2), []
    for _ in range(3):
        allowance = limits.allow(state, now=NOW, in_flight=2, due=1, oldest=4.0)
        state = allowance.limits
        turns.append((allowance.again_at - NOW).total_seconds())  # type: ignore[operator]
    assert turns == [1.0, 2.0, 3.0]


def test_observations_of_one_endpoint_are_one_row_and_one_success_means_it_is_up() -> None:
    first_endpoint, second_endpoint, jobs = (
        uuid.uuid4(),
        uuid.uuid4(),
        [uuid.uuid4() for _ in range(3)],
    )
    observations = [
        EndpointObservation(first_endpoint, jobs[0], False, "refused"),
        EndpointObservation(first_endpoint, jobs[0], False, "late"),
        EndpointObservation(second_endpoint, jobs[1], False, "HTTP 503", 4.0),
        EndpointObservation(second_endpoint, jobs[2], True, ""),
    ]
    first, second = limits.rows(observations, cycle_id=uuid.uuid4())
    assert (first["up"], first["failed"], first["several"], first["error"], first["hold"]) == (
        False,
        2,
        False,
        "late",
        None,
    )
    assert (second["up"], second["failed"], second["hold"]) == (True, 1, 4.0)
    (row,) = limits.rows(
        [EndpointObservation(first_endpoint, job, False, "x") for job in jobs],
        cycle_id=uuid.uuid4(),
    )
    assert row["several"]
