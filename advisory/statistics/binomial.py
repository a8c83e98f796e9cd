"""The exact binomial test of a proportion against a stated rate, one-sided.

C. J. Clopper and E. S. Pearson (1934), "The use of confidence or fiducial limits illustrated in the
case of the binomial", Biometrika 26, 404-413.
"""

import math

from advisory.statistics import normal
from advisory.statistics.tails import Distribution

#: Beyond this variance, the normal approximation with continuity correction.
MOST_EXACT_VARIANCE = 1e6


def lower(successes: int, total: int, rate: float) -> float:
    """Return p of "the proportion isn't lower than ``rate``": of so few successes or fewer."""
    if not 0 <= successes <= total or not 0 < rate < 1:
        raise ValueError(f"{successes} of {total} against {rate}")
    variance = total * rate * (1 - rate)
    if variance > MOST_EXACT_VARIANCE:
        return normal.above((total * rate - successes - 0.5) / math.sqrt(variance))
    drawn = Distribution(
        0,
        min(total, math.floor((total + 1) * rate)),
        total,
        up=lambda k: (total - k) / (k + 1) * rate / (1 - rate),
        down=lambda k: k / (total - k + 1) * (1 - rate) / rate,
    )
    return drawn.at_most(successes)


def higher(successes: int, total: int, rate: float) -> float:
    """Return p of "the proportion isn't higher than ``rate``"."""
    return lower(total - successes, total, 1 - rate)
