"""Log lines of trouble that lasts: one a minute and topic, with the number that was held back."""

import logging
import time

EVERY_SECONDS = 60.0


class ThrottledLog:
    """What one process complains about in ``logger``."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def about(self, topic: str, trouble: object) -> None:
        """Log ``trouble`` as a warning, unless ``topic`` had a line within the last minute."""
        now = time.monotonic()
        if now - self._said.get(topic, float("-inf")) < EVERY_SECONDS:
            self._held_back[topic] = self._held_back.get(topic, 0) + 1
            return
        self._said[topic] = now
        held_back = self._held_back.pop(topic, 0)
        text = " ".join(str(trouble).split())
        self._logger.warning(
            "%s: %s%s", topic, text, f" ({held_back} more since the last line)" if held_back else ""
        )
