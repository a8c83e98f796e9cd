"""Waits between attempts: exponential, capped, with jitter."""

import random


def delay(
    attempt: int, *, base: float, cap: float, factor: float, group: str | None = None
) -> float:
    """Return the seconds to wait after attempt number ``attempt`` (from 1): ``min(cap, base * factor^(attempt-1)) * U(0.8, 1.2)``.

    The jitter has a floor, unlike the full jitter of Brooker, "Exponential Backoff And Jitter" (2015): a receiver that restarts gets its time.
    Those that name the same ``group`` wait equally long, so that they can be done together.
    """
    uniform = random.uniform if group is None else random.Random(f"{group} {attempt}").uniform  # noqa: S311 - jitter guards nothing
    # A float's exponent ends at 1023, the cap long before.
    return min(cap, base * factor ** min(attempt - 1, 60)) * uniform(0.8, 1.2)
