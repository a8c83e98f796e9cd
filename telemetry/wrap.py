"""Stores the events of a wrapped program: in the database, or in the client's spool if it is away.

The program waits for no database: what isn't stored in time goes to the spool. It is stored later,
by the next wrapper or by ``python -m telemetry.client flush``. What arrives twice is one event.
"""

import threading
from collections.abc import Callable

from django.db import connections

from governance.kernel import clock
from telemetry.client import notes
from telemetry.client.event import Event, line
from telemetry.client.options import ANY, Options
from telemetry.client.spool import Spool, read
from telemetry.ingest import stream
from telemetry.ingest.shape import Sender
from telemetry.ingest.times import Window

#: Seconds that a program's start, and its end, wait for the database at most.
SECONDS = 5.0


class Store:
    """Where the events of one wrapped program go."""

    def __init__(self, options: Options) -> None:
        self._spool = Spool(options.roots(), ANY)
        self._is_away = False

    def write(self, events: list[Event]) -> None:
        """Store ``events``. Raises nothing."""
        lines = [line(event) for event in events]
        if self._is_away or not _in_time(lambda: _ingest(lines)):
            # Its end would wait as long as its start.
            self._is_away = True
            kept = [self._spool.append(item) for item in lines]
            where = f"kept in {self._spool.folder}" if all(kept) else "lost: the disk is full, too"
            notes.once("away", f"the database is away; the events are {where}.")

    def write_kept(self) -> None:
        """Store what earlier programs had to keep, and what the wrapped one did. Raises nothing."""
        self._spool.rotate()
        if not self._is_away and self._spool.paths():
            _in_time(self._store_kept)

    def _store_kept(self) -> None:
        for _, segments in read([self._spool]):
            try:
                lines = [item for segment in segments for item in segment.lines()]
                rejected = _ingest(lines)
                self._spool.set_aside(lines[index] for index in rejected if index < len(lines))
            except BaseException:
                for segment in segments:
                    segment.close()
                raise
            for segment in segments:
                segment.remove()


def _ingest(lines: list[bytes]) -> list[int]:
    """Store ``lines``; return the indexes of those that are rejected."""
    clock.refresh()
    sender = Sender(Window.at(clock.now()))
    report = stream.receive([b"".join(lines)], sender=sender, is_lines=True)
    if report.rejected:
        first = report.rejected[0]
        notes.once("rejected", f"{report.rejected_count} events are rejected: {first.detail}")
    return [item.index for item in report.rejected]


def _in_time(work: Callable[[], object]) -> bool:
    """Tell whether ``work`` has ended well in time. It goes on, in a thread, if it hasn't."""
    ended: list[bool] = []

    def run() -> None:
        try:
            work()
            ended.append(True)
        except Exception:  # the program must not see it
            ended.append(False)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return ended[:1] == [True]
