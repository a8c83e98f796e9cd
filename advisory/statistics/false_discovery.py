"""Control of false discoveries over many tests.

Y. Benjamini and Y. Hochberg (1995), "Controlling the false discovery rate: a practical and powerful
approach to multiple testing", Journal of the Royal Statistical Society B 57, 289-300.
"""

from collections.abc import Sequence


def adjust(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values, in the order of ``p_values``.

    If every test whose adjusted p is at most a is called a discovery, at most the share a of all
    discoveries is expected to be false.
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * count
    smallest = 1.0
    for position, index in enumerate(order):
        # The quotient first: rounding must not bring a p-value below itself.
        smallest = min(smallest, p_values[index] * (count / (count - position)))
        adjusted[index] = smallest
    return adjusted
