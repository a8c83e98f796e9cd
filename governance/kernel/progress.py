"""A progress line on a terminal."""

import time
from types import TracebackType
from typing import Self

from django.core.management.base import OutputWrapper

from governance.kernel import terminal

EVERY_SECONDS = 0.2
_MAX_NOTE = 60


class Progress:
    """A line that is overwritten and removed at the end; nothing if it's not a terminal."""

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
        self.clear()

    def clear(self) -> None:
        """Remove the line, until ``show`` writes it again."""
        if self._shown:
            self._control("")
            self._shown = False

    def show(
        self, what: str, done: int, total: int | None = None, *, unit: str = "MB", note: str = ""
    ) -> None:
        """Show the progress, at most every 0.2 s. With the unit "MB", ``done`` counts bytes."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + EVERY_SECONDS, True
        share = (
            f"{100 * done / total:.0f} % of {_amount(total, unit, '.0f')}"
            if total
            else _amount(done, unit, ".1f")
        )
        more = f" ({note[:_MAX_NOTE]})" if note else ""
        self._control(terminal.escape(f"{what} {share}{more}"))

    def _control(self, text: str) -> None:
        # Past the escaping of a command's output.
        OutputWrapper.write(self._stream, f"\r\033[K{text}", ending="")
        self._stream.flush()


def _amount(number: int, unit: str, megabytes: str) -> str:
    return f"{number / 1e6:{megabytes}} MB" if unit == "MB" else f"{number:,} {unit}"
