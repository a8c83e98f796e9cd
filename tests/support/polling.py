"""Wait for a condition by polling."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

# A bound for a busy machine, not an expected time: a passing test doesn't wait this long.
LIMIT_SECONDS = 60


def until(
    condition: Callable[[], T],
    what: str = "the condition did not become true",
    *,
    seconds: float = LIMIT_SECONDS,
    every: float = 0.02,
) -> T:
    """Return the first true result of ``condition``; fail with ``what``."""
    ends = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > ends:
            pytest.fail(f"{what} (after {seconds:g} s)")
        time.sleep(every)
    return value
