"""Waits between attempts: exponential, capped, with jitter."""

import random


def delay(
    attempt: int, *, base: float, cap: float, factor: float, group: str | None = None
) -> float:
    """Return the seconds to wait after ``attempt`` (from 1); equal for callers of one ``group``."""
    uniform = random.uniform if group is None else random.Random(f"{group} {attempt}").uniform  # noqa: S311 - jitter is no secret
    # The jitter has a floor, unlike Brooker's full jitter ("Exponential Backoff And Jitter", 2015):
    # a restarting receiver needs the time. The exponent is bounded, as a float overflows at 2^1024.
    return min(cap, base * factor ** min(attempt - 1, 60)) * uniform(0.8, 1.2)
