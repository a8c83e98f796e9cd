"""Compare a forecast with what came after, by the tests that signals rest on.

It came true if the change is significant and reaches the target. It did not if the opposite is: the
measure surely misses the target, or got worse. Between the two, no one can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any

from advisory.statistics import binomial, fisher, mann_whitney, wilson
from advisory.statistics.forecasts import Forecast, Measure

#: Fewer ended cycles than this, before or after, show nothing.
LEAST = 10
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """Ended cycles: how many, how many of them succeeded, and how long those took (ms)."""

    cycles: int
    latencies: Sequence[float]

    @property
    def successes(self) -> int:
        """How many succeeded."""
        return len(self.latencies)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        low, high = wilson.interval(self.successes, self.cycles)
        return {
            "cycles": self.cycles,
            "successes": self.successes,
            "success_rate": self.successes / self.cycles if self.cycles else None,
            "success_rate_interval": [low, high],
            "median_latency_ms": median(self.latencies) if self.latencies else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """``came_true`` is None if no one can tell; ``p`` are the tests' p-values by name."""

    came_true: bool | None
    sentence: str
    p: dict[str, float]


def compare(forecast: Forecast, before: Sample, after: Sample) -> Comparison:
    """Return whether ``forecast`` came true."""
    if forecast.measure == Measure.SUCCESS_RATE:
        return _success_rate(forecast, before, after)
    return _latency(forecast, before, after)


def _success_rate(forecast: Forecast, before: Sample, after: Sample) -> Comparison:
    counts = (after.successes, after.cycles, before.successes, before.cycles)
    seen = f"{after.successes} of {after.cycles} cycles succeeded afterwards"
    if (short := _too_few(before.cycles, after.cycles, "ended cycles")) is not None:
        return short
    p = {
        "rose": fisher.higher(*counts),
        "fell": fisher.lower(*counts),
        "missed": binomial.lower(after.successes, after.cycles, forecast.target),
    }
    rate = after.successes / after.cycles
    compared = f"{seen}, {before.successes} of {before.cycles} before"
    return _conclude(
        p["rose"],
        p["fell"],
        p["missed"],
        reached=rate >= forecast.target,
        compared=compared,
        target=f"at least {forecast.target:.0%}",
        p=p,
    )


def _latency(forecast: Forecast, before: Sample, after: Sample) -> Comparison:
    if (short := _too_few(before.successes, after.successes, "successful cycles")) is not None:
        return short
    ranks = _ranks(after.latencies, before.latencies)
    above = sum(value > forecast.target for value in after.latencies)
    p = {
        "fell": mann_whitney.less(*ranks),
        "rose": mann_whitney.greater(*ranks),
        # The sign test: half of the values are above a median.
        "missed": binomial.higher(above, after.successes, 0.5),
    }
    now, then = median(after.latencies), median(before.latencies)
    return _conclude(
        p["fell"],
        p["rose"],
        p["missed"],
        reached=now <= forecast.target,
        compared=(
            f"the median latency of {after.successes} successful cycles was "
            f"{now / 1000:.3g} s afterwards, {then / 1000:.3g} s before"
        ),
        target=f"at most {forecast.target / 1000:.3g} s",
        p=p,
    )


def _conclude(
    better: float,
    worse: float,
    missed: float,
    *,
    reached: bool,
    compared: str,
    target: str,
    p: dict[str, float],
) -> Comparison:
    if better <= ALPHA and reached:
        return Comparison(True, f"It came true: {compared}; {target} was forecast.", p)
    if worse <= ALPHA:
        return Comparison(False, f"It got worse: {compared}; {target} was forecast.", p)
    if missed <= ALPHA:
        return Comparison(False, f"It did not come true: {compared}; {target} was forecast.", p)
    return Comparison(
        None,
        f"It can't be said: {compared}; {target} was forecast. So few cycles can differ so "
        "much by chance.",
        p,
    )


def _too_few(before: int, after: int, what: str) -> Comparison | None:
    if after < LEAST:
        number, when = after, "afterwards"
    elif before < LEAST:
        number, when = before, "before"
    else:
        return None
    return Comparison(
        None, f"It can't be said: only {number} {what} {when}, and {LEAST} are needed.", {}
    )


def _ranks(first: Sequence[float], other: Sequence[float]) -> tuple[float, int, int, float]:
    """Return rank sum and size of ``first``, the other's size, and the ties."""
    marked = sorted([(value, True) for value in first] + [(value, False) for value in other])
    rank_sum, ties, before = 0.0, 0.0, 0
    for _, equal in groupby(marked, key=lambda pair: pair[0]):
        group = [is_first for _, is_first in equal]
        rank_sum += sum(group) * (before + (len(group) + 1) / 2)
        ties += len(group) ** 3 - len(group)
        before += len(group)
    return rank_sum, len(first), len(other), ties
