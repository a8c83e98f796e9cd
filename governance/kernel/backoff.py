"""Waits between attempts: exponential, capped, with jitter."""

import random


def delay(
    attempt: int, *, base: float, cap: float, factor: float, group: str | None = None
) -> float:
    """Return the seconds to wait after attempt ``attempt`` (from 1).

    That is ``min(cap, base * factor^(attempt-1)) * U(0.8, 1.2)``. The jitter has a floor, unlike
    the full jitter of Brooker, "Exponential Backoff And Jitter" (2015), so that a restarting
    receiver gets its time. Callers with the same ``group`` wait equally long, so that they run
    together.
    """
    uniform = random.uniform if group is None else random.Random(f"{group} {attempt}").uniform  # noqa: S311 - jitter is no secret
    # The exponent is bounded, because a float overflows at 2^1024.
    return min(cap, base * factor ** min(attempt - 1, 60)) * uniform(0.8, 1.2)
