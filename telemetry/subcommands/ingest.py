"""``telemetry ingest``: events from a file or standard input."""

import contextlib
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.progress import Progress
from telemetry.ingest import file
from telemetry.ingest.file import Source
from telemetry.ingest.stream import Report

HELP = (
    "Ingest events from a file of NDJSON or JSON, plain or gzip; - is standard input. "
    "Exit code: 0 all are stored, 2 some were rejected, 7 the database or its tables are missing."
)
REJECTED = 2
#: As shells say it of a process that a signal ended.
_BY_SIGNAL = 128
_SHOWN = 20


class FileUnreadable(OrbitError):
    """The file can't be read."""

    code, kind = "file_unreadable", Kind.MISSING


class _Stopped(KeyboardInterrupt):  # for this one the driver cancels its statement
    """SIGTERM or Ctrl-C came; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", metavar="FILE|-")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Ingest; exit by what became of the events."""
    report, session = Report(), ""
    rejections = _Rejections(command)
    with _opened(options["file"]) as (stream, size), Progress(command.stderr) as progress:
        source = Source(stream)

        def on_batch(part: Report) -> None:
            progress.clear()
            rejections.add(part)
            progress.show("read", source.position, size, note=f"{report.read:,} events")

        try:
            with _stoppable():
                session = file.ingest(
                    source,
                    title=f"telemetry ingest {options['file']}",
                    report=report,
                    on_batch=on_batch,
                )
        except _Stopped as stopped:
            progress.clear()
            command.warn(
                f"orbit: interrupted after {report.read:,} events, which are stored. "
                "Run it again: events that are there are skipped."
            )
            raise SystemExit(_BY_SIGNAL + stopped.number) from None
    rejections.end()
    if options["json"]:
        command.print_json({**report.to_dict(), "session_id": session})
    else:
        command.say(
            f"{report.accepted:,} accepted, {report.duplicate:,} duplicate, "
            f"{report.rejected_count:,} rejected. Session {session}."
        )
    if report.rejected_count:
        raise SystemExit(REJECTED)


class _Rejections:
    """The rejected events on standard error: the first ones, then their number."""

    def __init__(self, command: OrbitCommand) -> None:
        self._command, self._count, self._left_out = command, 0, 0

    def add(self, part: Report) -> None:
        """Print what a batch rejected."""
        for item in part.rejected[: max(0, _SHOWN - self._count)]:
            place = f"event {item.index + 1}" if item.line is None else f"line {item.line}"
            self._command.warn(f"{place}: {item.code}: {item.detail}")
            self._count += 1
            self._left_out -= 1
        self._left_out += part.rejected_count

    def end(self) -> None:
        """Print how many weren't shown."""
        if self._left_out:
            self._command.warn(f"... and {self._left_out:,} more (--json lists the first 1,000).")


@contextlib.contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open the file; return it with its size, if that is known. Raises FileUnreadable."""
    if name == "-":
        if sys.stdin is None:  # closed by the shell: `<&-`
            raise FileUnreadable("Standard input is closed. Name a file, or pipe the events in.")
        yield sys.stdin.buffer, None
        return
    path = Path(name)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise FileUnreadable(f"{name} can't be read: {error.strerror}.") from None
    with stream:
        yield stream, path.stat().st_size or None


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Raise _Stopped at Ctrl-C and SIGTERM, so that the task's end is written."""

    def stop(number: int, frame: FrameType | None) -> None:
        # Once: the task's end is on its way.
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise _Stopped(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
