"""A test that two proportions differ by less than a margin: two one-sided tests (TOST).

D. J. Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach
for assessing the equivalence of average bioavailability", Journal of Pharmacokinetics and
Biopharmaceutics 15, 657-680.

The standard error is that of A. Agresti and B. Caffo (2000), "Simple and effective confidence
intervals for proportions and differences of proportions result from adding two successes and two
failures", The American Statistician 54, 280-288. The plain one is 0 if nothing failed, so that ten
cycles without a failure would prove everything.
"""

import math

from advisory.statistics import normal


def differ(
    successes: int, total: int, other_successes: int, other_total: int, *, margin: float
) -> float:
    """Return p of "the proportions differ by ``margin`` or more". Without trials: 1."""
    if not (0 <= successes <= total and 0 <= other_successes <= other_total and margin > 0):
        raise ValueError(f"{successes} of {total}, {other_successes} of {other_total}, {margin}")
    if total == 0 or other_total == 0:
        return 1.0
    first, other = (successes + 1) / (total + 2), (other_successes + 1) / (other_total + 2)
    error = math.sqrt(first * (1 - first) / (total + 2) + other * (1 - other) / (other_total + 2))
    return normal.above((margin - abs(first - other)) / error)
