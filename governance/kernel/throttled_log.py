"""Logs of lasting problems: one line a minute for each topic."""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 60.0


class ThrottledLog:
    """Passes lines to ``write`` and counts those it holds back."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._written_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def report(self, topic: str, problem: object) -> None:
        """Write ``topic: problem``, at most once a minute for each topic."""
        now = time.monotonic()
        if now - self._written_at.get(topic, float("-inf")) < INTERVAL_SECONDS:
            self._held_back[topic] = self._held_back.get(topic, 0) + 1
            return
        self._written_at[topic] = now
        held_back = self._held_back.pop(topic, 0)
        more = f" ({held_back} more since the last line)" if held_back else ""
        self._write(f"{topic}: {' '.join(str(problem).split())}{more}")
