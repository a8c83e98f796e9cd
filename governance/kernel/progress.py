"""How far it is, on a terminal: one line that is written over and over."""

import time
from types import TracebackType
from typing import Self

from django.core.management.base import OutputWrapper

EVERY_SECONDS = 0.2


class Progress:
    """Shows bytes on ``stream`` where that is a terminal, and nothing elsewhere; the line is gone at the end."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._next = time.monotonic() + EVERY_SECONDS if stream.isatty() else float("inf")
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._stream.write("\r\033[K", ending="")

    def show(self, what: str, done: int, total: int | None = None, *, unit: str = "MB") -> None:
        """Say how much is done, of how much where that is known, several times a second at most; bytes, or other ``unit``s that are counted."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + EVERY_SECONDS, True
        share = (
            f"{100 * done / total:.0f} % of {_amount(total, unit, '.0f')}"
            if total
            else _amount(done, unit, ".1f")
        )
        self._stream.write(f"\r\033[K{what} {share}", ending="")
        self._stream.flush()


def _amount(number: int, unit: str, megabytes: str) -> str:
    return f"{number / 1e6:{megabytes}} MB" if unit == "MB" else f"{number:,} {unit}"
