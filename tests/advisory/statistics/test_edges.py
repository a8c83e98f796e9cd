"""No counts are too small, too large or too equal: each p is a number from 0 to 1."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from advisory.statistics import (
    binomial,
    equivalence,
    false_discovery,
    fisher,
    mann_whitney,
    rounding,
    wilson,
)

#: Small, large, and beyond what telemetry can ever hold.
TOTALS = some.one_of(some.integers(0, 30), some.integers(0, 100_000), some.integers(10**9, 10**15))


@some.composite
def samples(draw: some.DrawFn) -> tuple[int, int]:
    """Draw successes and trials: often none, or all."""
    total = draw(TOTALS)
    return draw(some.one_of(some.just(0), some.just(total), some.integers(0, total))), total


@settings(max_examples=80)
@given(first=samples(), other=samples())
def test_tests_of_two_proportions(first: tuple[int, int], other: tuple[int, int]) -> None:
    lower, higher = fisher.lower(*first, *other), fisher.higher(*first, *other)
    assert 0 <= lower <= 1
    assert 0 <= higher <= 1
    # Both tails hold what was counted.
    assert lower + higher >= 1 - 1e-6
    assert 0 <= equivalence.differ(*first, *other, margin=0.05) <= 1


@settings(max_examples=80)
@given(sample=samples(), rate=some.floats(0.001, 0.999))
def test_tests_and_intervals_of_one_proportion(sample: tuple[int, int], rate: float) -> None:
    lower, higher = binomial.lower(*sample, rate), binomial.higher(*sample, rate)
    assert 0 <= lower <= 1
    assert 0 <= higher <= 1
    assert lower + higher >= 1 - 1e-6
    low, high = wilson.interval(*sample)
    share = sample[0] / sample[1] if sample[1] else 0.5
    assert 0 <= low <= share <= high <= 1


@settings(max_examples=80)
@given(values=some.lists(some.integers(0, 4), min_size=2, max_size=40), data=some.data())
def test_ranks(values: list[int], data: some.DataObject) -> None:
    split = data.draw(some.integers(0, len(values)))
    first, other = values[:split], values[split:]
    rank_sum = sum(
        sum(low < value for low in values) + (values.count(value) + 1) / 2 for value in first
    )
    ties = float(sum(values.count(v) ** 3 - values.count(v) for v in set(values)))
    greater = mann_whitney.greater(rank_sum, len(first), len(other), ties)
    less = mann_whitney.less(rank_sum, len(first), len(other), ties)
    assert 0 <= greater <= 1
    assert 0 <= less <= 1
    assert greater + less >= 1 - 1e-9


@settings(max_examples=80)
@given(p_values=some.lists(some.floats(0, 1)))
def test_adjusted_p_values(p_values: list[float]) -> None:
    adjusted = false_discovery.adjust(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    # The order stays.
    by_p = sorted(zip(p_values, adjusted, strict=True))
    assert [a for _, a in by_p] == sorted(adjusted)


def test_only_equal_latencies_prove_nothing() -> None:
    # 10 and 20 equal values: each has the rank 15.5, and all are one tie.
    assert mann_whitney.greater(155.0, 10, 20, 30.0**3 - 30) == 1
    assert mann_whitney.less(155.0, 10, 20, 30.0**3 - 30) == 1


def test_without_trials_nothing_is_known() -> None:
    assert wilson.interval(0, 0) == (0, 1)
    assert fisher.lower(0, 0, 5, 10) == fisher.higher(0, 0, 5, 10) == 1
    assert mann_whitney.greater(0, 0, 5, 0) == mann_whitney.less(15, 5, 0, 0) == 1
    assert equivalence.differ(0, 0, 5, 10, margin=0.05) == 1
    assert false_discovery.adjust([]) == []


def test_ten_cycles_without_a_failure_do_not_prove_that_nothing_changed() -> None:
    assert equivalence.differ(10, 10, 10, 10, margin=0.05) > 0.2


@pytest.mark.parametrize("counts", [(-1, 5, 0, 5), (6, 5, 0, 5), (0, 5, 6, 5)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="of 5"):
        fisher.lower(*counts)
    with pytest.raises(ValueError, match="of 5"):
        equivalence.differ(*counts, margin=0.05)


def test_few_failures_of_millions_are_not_taken_for_a_normal_distribution() -> None:
    # By the normal approximation this would be 1e-11.
    assert fisher.lower(999, 1000, 1_999_990, 2_000_000) == pytest.approx(0.00548, abs=1e-5)


@pytest.mark.parametrize(
    ("number", "places", "text"),
    [(0.99999, 4, "0.9999"), (0.29, 2, "0.29"), (1.0, 4, "1.0000"), (1e-9, 4, "0.0000")],
)
def test_a_confidence_is_never_rounded_up(number: float, places: int, text: str) -> None:
    assert rounding.down(number, places) == text
