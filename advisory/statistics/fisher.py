"""Fisher's exact test of two proportions, one-sided.

R. A. Fisher (1922), "On the interpretation of chi-squared from contingency tables, and the
calculation of P", Journal of the Royal Statistical Society 85, 87-94; A. Agresti (2013),
"Categorical Data Analysis", section 3.5.
"""

import math

from advisory.statistics import normal
from advisory.statistics.tails import Distribution

#: Beyond this variance, the normal approximation with continuity correction. Its condition is the
#: variance, not the counts: few failures in millions of cycles are far from a normal distribution.
MOST_EXACT_VARIANCE = 1e6


def lower(successes: int, total: int, other_successes: int, other_total: int) -> float:
    """Return p of "the first proportion isn't lower than the other".

    That is the probability of so few successes or fewer in the first sample, with all successes
    spread over both samples at random. Without trials in one of them: 1.
    """
    if not (0 <= successes <= total and 0 <= other_successes <= other_total):
        raise ValueError(f"{successes} of {total}, {other_successes} of {other_total}")
    both, everything = successes + other_successes, total + other_total
    failures = everything - both
    if total == 0 or other_total == 0 or both == 0 or failures == 0:
        return 1.0  # the margins allow only this table
    # Hypergeometric: ``total`` drawn from ``everything``, of which ``both`` are successes.
    mean = total * both / everything
    variance = mean * failures / everything * other_total / (everything - 1)
    if variance > MOST_EXACT_VARIANCE:
        return normal.above((mean - successes - 0.5) / math.sqrt(variance))
    lowest, highest = max(0, total - failures), min(total, both)
    drawn = Distribution(
        lowest,
        min(highest, (total + 1) * (both + 1) // (everything + 2)),
        highest,
        up=lambda k: (total - k) * (both - k) / ((k + 1) * (failures - total + k + 1)),
        down=lambda k: k * (failures - total + k) / ((total - k + 1) * (both - k + 1)),
    )
    return drawn.at_most(successes)


def higher(successes: int, total: int, other_successes: int, other_total: int) -> float:
    """Return p of "the first proportion isn't higher than the other"."""
    return lower(other_successes, other_total, successes, total)
