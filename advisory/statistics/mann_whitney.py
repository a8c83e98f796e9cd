"""The Mann-Whitney test of two samples by their ranks, one-sided.

H. B. Mann and D. R. Whitney (1947), "On a test of whether one of two random variables is
stochastically larger than the other", Annals of Mathematical Statistics 18, 50-60. Correction for
ties: E. L. Lehmann (1975), "Nonparametrics: Statistical Methods Based on Ranks", section 1.4.
"""

import math

from advisory.statistics import normal


def greater(rank_sum: float, size: int, other_size: int, ties: float) -> float:
    """Return p of "values of the first sample aren't greater", by the normal approximation.

    ``rank_sum`` is of the first sample, over both together, where equal values share their mean
    rank. ``ties`` is the sum of t^3 - t over the groups of t equal values. Continuity is corrected.
    An empty sample, or only equal values: 1.
    """
    if size < 0 or other_size < 0:
        raise ValueError(f"samples of {size} and {other_size}")
    both = size + other_size
    if size == 0 or other_size == 0:
        return 1.0
    u = rank_sum - size * (size + 1) / 2
    product = size * other_size
    variance = product / 12 * (both + 1 - ties / (both * (both - 1)))
    # Rounding may leave a trace of a variance that is 0.
    if variance <= 1e-12 * product * both:
        return 1.0
    return normal.above((u - product / 2 - 0.5) / math.sqrt(variance))


def less(rank_sum: float, size: int, other_size: int, ties: float) -> float:
    """Return p of "values of the first sample aren't less"; the arguments are those of greater."""
    both = size + other_size
    return greater(both * (both + 1) / 2 - rank_sum, other_size, size, ties)
