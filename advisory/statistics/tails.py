"""Tails of discrete distributions whose probabilities rise to a mode and fall after it.

They are summed from the mode outwards, by the ratio of neighbours, and divided by the sum of all.
So no logarithm of a large factorial is needed, which would cost the digits that count.
"""

from collections.abc import Callable
from dataclasses import dataclass

#: A term that is smaller than this share of its sum ends the sum: it changes no digit.
_NEGLIGIBLE = 1e-18


@dataclass(frozen=True, slots=True)
class Distribution:
    """The range and the mode of a distribution, and the ratios of its neighbours.

    ``up(k)`` is the probability of k + 1 by that of k, ``down(k)`` that of k - 1 by that of k.
    """

    lowest: int
    mode: int
    highest: int
    up: Callable[[int], float]
    down: Callable[[int], float]

    def at_most(self, k: int) -> float:
        """Return the probability of ``k`` or less, in about 40 standard deviations of steps."""
        if k < self.lowest:
            return 0.0
        if k >= self.highest:
            return 1.0
        if k < self.mode:
            before, tail = _sums(self.mode, self.lowest, k, self.down)
            _, other = _sums(self.mode, self.highest, self.mode + 1, self.up)
            return tail / (1.0 + before + tail + other)
        before, tail = _sums(self.mode, self.highest, k + 1, self.up)
        _, other = _sums(self.mode, self.lowest, self.mode - 1, self.down)
        return 1.0 - tail / (1.0 + before + tail + other)


def _sums(mode: int, end: int, split: int, ratio: Callable[[int], float]) -> tuple[float, float]:
    """Return the sums of the terms from the mode's neighbour to ``split``, and from there on.

    The mode's own term is 1 and isn't in them.
    """
    step = 1 if end >= mode else -1
    term, before, tail, k = 1.0, 0.0, 0.0, mode
    while k != end and term > _NEGLIGIBLE * tail:
        term *= ratio(k)
        k += step
        if (k - split) * step < 0:
            before += term
        else:
            tail += term
    return before, tail
