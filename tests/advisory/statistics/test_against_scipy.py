"""Our statistics give what SciPy gives. It is no dependency of Orbit: its import takes seconds."""

import math
import random
from collections import Counter

import pytest
from scipy import stats

from advisory.statistics import (
    binomial,
    equivalence,
    false_discovery,
    fisher,
    mann_whitney,
    normal,
    wilson,
)

SIZES = (1, 2, 7, 50, 3_000, 400_000)


def counts(seed: int) -> tuple[int, int, int, int]:
    """Return two samples whose rates differ little, or are at the edges."""
    chosen = random.Random(seed)
    total, other = chosen.choice(SIZES), chosen.choice(SIZES)
    rate = chosen.choice((0.0, 0.5, 0.9, 0.999, 1.0))
    spread = chosen.choice((0.0, 0.01, 0.2))

    def near(size: int) -> int:
        return min(size, max(0, round(size * (rate + chosen.uniform(-spread, spread)))))

    return near(total), total, near(other), other


@pytest.mark.parametrize("seed", range(100))
def test_fisher_is_the_tail_of_the_hypergeometric_distribution(seed: int) -> None:
    successes, total, others, other = counts(seed)
    drawn = stats.hypergeom(total + other, successes + others, total)
    assert fisher.lower(successes, total, others, other) == pytest.approx(
        drawn.cdf(successes), rel=1e-6, abs=1e-12
    )
    assert fisher.higher(successes, total, others, other) == pytest.approx(
        drawn.sf(successes - 1), rel=1e-6, abs=1e-12
    )


def test_fisher_agrees_with_the_exact_test() -> None:
    for table in ([[3, 9], [11, 2]], [[17, 3], [380, 20]], [[102, 18], [380, 20]]):
        (a, b), (c, d) = table
        expected = stats.fisher_exact(table, alternative="less").pvalue
        assert fisher.lower(a, a + b, c, c + d) == pytest.approx(expected, rel=1e-9)


def test_beyond_the_stated_variance_fisher_is_close_to_the_exact_tail() -> None:
    total, other, both = 900_000_000, 1_100_000_000, 1_000_000_000
    for deviations in (-4.0, -1.0, 0.5, 3.0):
        drawn = stats.hypergeom(total + other, both, total)
        successes = round(drawn.mean() + deviations * drawn.std())
        z = (successes + 0.5 - drawn.mean()) / drawn.std()
        p = fisher.lower(successes, total, both - successes, other)
        assert p == pytest.approx(stats.norm.cdf(z), rel=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_binomial_is_the_exact_test(seed: int) -> None:
    successes, total, _, _ = counts(seed)
    for rate in (0.1, 0.9, 0.999):
        drawn = stats.binom(total, rate)
        assert binomial.lower(successes, total, rate) == pytest.approx(
            drawn.cdf(successes), rel=1e-6, abs=1e-12
        )
        assert binomial.higher(successes, total, rate) == pytest.approx(
            drawn.sf(successes - 1), rel=1e-6, abs=1e-12
        )


@pytest.mark.parametrize("seed", range(40))
def test_wilson_is_the_interval_without_continuity_correction(seed: int) -> None:
    successes, total, _, _ = counts(seed)
    expected = stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
    assert wilson.interval(successes, total) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_mann_whitney_of_ranks_is_that_of_values(seed: int) -> None:
    chosen = random.Random(seed)
    # Some have many ties.
    scale = chosen.choice((1, 10, 1_000_000))
    first = [round(chosen.lognormvariate(0, 1) * scale) for _ in range(chosen.randint(1, 60))]
    other = [round(chosen.lognormvariate(0.3, 1) * scale) for _ in range(chosen.randint(1, 60))]
    ranks = stats.rankdata(first + other)
    ties = sum(float(tied**3 - tied) for tied in Counter(first + other).values())
    rank_sum = float(sum(ranks[: len(first)]))
    for ours, alternative in ((mann_whitney.greater, "greater"), (mann_whitney.less, "less")):
        expected = stats.mannwhitneyu(first, other, alternative=alternative, method="asymptotic")
        assert ours(rank_sum, len(first), len(other), ties) == pytest.approx(
            expected.pvalue, abs=1e-9
        )


@pytest.mark.parametrize("seed", range(50))
def test_false_discoveries_are_adjusted_alike(seed: int) -> None:
    chosen = random.Random(seed)
    p_values = [chosen.choice((0.0, 1.0, chosen.random() ** 3)) for _ in range(seed + 1)]
    assert false_discovery.adjust(p_values) == pytest.approx(
        list(stats.false_discovery_control(p_values, method="bh"))
    )


def test_the_normal_tail_keeps_its_precision_far_out() -> None:
    for z in (-9.0, -1.0, 0.0, 1.96, 8.0, 30.0):
        assert normal.above(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)


def test_equivalence_is_two_one_sided_tests() -> None:
    for successes, total, others, other in (
        (19, 20, 380, 400),
        (114, 120, 380, 400),
        (5, 10, 9, 10),
    ):
        first, second = (successes + 1) / (total + 2), (others + 1) / (other + 2)
        error = math.sqrt(first * (1 - first) / (total + 2) + second * (1 - second) / (other + 2))
        difference = first - second
        one_sided = (
            stats.norm.sf((difference + 0.05) / error),
            stats.norm.cdf((difference - 0.05) / error),
        )
        assert equivalence.differ(successes, total, others, other, margin=0.05) == pytest.approx(
            max(one_sided), rel=1e-9
        )
