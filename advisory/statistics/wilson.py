"""The Wilson score interval of a proportion.

E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal
of the American Statistical Association 22, 209-212. Recommended for small counts by L. D. Brown,
T. T. Cai and A. DasGupta (2001), "Interval estimation for a binomial proportion", Statistical
Science 16, 101-133.
"""

import math

from advisory.statistics import normal

CONFIDENCE = 0.95


def interval(successes: int, total: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided interval without continuity correction. Without trials: (0, 1)."""
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total}")
    if total == 0:
        return 0.0, 1.0
    z = normal.quantile(0.5 + confidence / 2)
    rate, spread = successes / total, z * z / total
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / total + spread / (4 * total))
    # At the edges the ends are exactly 0 and 1; floating-point numbers would miss them.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == total else min(1.0, middle + half)
    return low, high
