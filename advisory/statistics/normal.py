"""The normal distribution."""

import math
from statistics import NormalDist

_STANDARD = NormalDist()


def above(z: float) -> float:
    """Return the probability of a standard normal value above ``z``."""
    # erfc keeps its precision far out, where 1 - cdf(z) is 0.
    return 0.5 * math.erfc(z / math.sqrt(2))


def quantile(probability: float) -> float:
    """Return the value below which a standard normal value lies with ``probability``."""
    return _STANDARD.inv_cdf(probability)
