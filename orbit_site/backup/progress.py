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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._stream.write("\r\033[K", ending="")

    def show(self, what: str, done: int, total: int | None = None) -> None:
        """Say how many bytes are done, of how many where that is known; several times a second at most."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + EVERY_SECONDS, True
        share = f" {100 * done / total:.0f} % of {total / 1e6:.0f} MB" if total else f" {done / 1e6:.1f} MB"
        self._stream.write(f"\r\033[K{what}{share}", ending="")
        self._stream.flush()
