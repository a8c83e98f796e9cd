"""Ingest of a file or a pipe, which is a task of its own: the log says what it read.

Its session has task_start, a decision schema_ok, an event_insert for each batch and task_end, which
is also written if it is interrupted. After a SIGKILL that one is missing, and coverage shows it.
"""

import contextlib
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from django.db import DatabaseError, ProgrammingError

from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from telemetry import database
from telemetry.events import INGEST_SESSION, Level, Name
from telemetry.ingest import batch, schema_gate, stream, unpacking
from telemetry.ingest.shape import Sender
from telemetry.ingest.stream import Report
from telemetry.ingest.times import Window
from telemetry.ingest.unpacking import Unreadable

T = TypeVar("T")
#: Batches that are read ahead while the database stores one.
_AHEAD = 1
_SWITCH_SECONDS = 0.0005
#: What a slow pipe has brought is stored so often.
_SLOW_SECONDS = 1.0


class Source:
    """The bytes of a file or a pipe, unpacked; knows how far it was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # What is there, not what was asked for.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self.position = 0  # in the file, packed or not

    def chunks(self) -> Iterator[bytes]:
        """Return UTF-8 in chunks, and an empty one if a pipe is slow. Raises Unreadable."""
        packed, start = self._packed(), b""
        for chunk in packed:
            start += chunk
            if len(start) >= unpacking.HEADER:
                break
        whole = _chain(start, packed)
        return unpacking.text(unpacking.gunzip(whole) if unpacking.is_gzip(start) else whole)

    def _packed(self) -> Iterator[bytes]:
        looked = time.monotonic()
        while True:
            if not self._has_more(looked + _SLOW_SECONDS - time.monotonic()):
                looked = time.monotonic()
                yield b""
                continue
            try:
                chunk: bytes = self._read(unpacking.CHUNK)
            except OSError as error:
                raise Unreadable(f"It can't be read on ({error.strerror or error})") from None
            if not chunk:
                return
            self.position += len(chunk)
            yield chunk

    def _has_more(self, seconds: float) -> bool:
        """Wait for bytes or the end, at most so long."""
        try:
            return bool(select.select([self._file], [], [], max(0, seconds))[0])
        except OSError:  # no file of the system; reading it won't wait
            return True


@dataclass(slots=True)
class Task:
    """The task that an ingest reports itself as."""

    session: str
    title: str
    began: float  # on the steady clock

    def record(
        self,
        name: Name,
        *,
        level: Level = Level.INFO,
        duration_ms: float | None = None,
        **metadata: Any,
    ) -> None:
        """Write one of its events."""
        batch.store(
            [
                batch.event(
                    name,
                    level=level,
                    duration_ms=duration_ms,
                    metadata=metadata,
                    session_id=self.session,
                    task_id=self.session,
                )
            ]
        )

    def end(self, report: Report, *, success: bool) -> None:
        """Write the task_end."""
        self.record(
            Name.TASK_END,
            level=Level.INFO if success else Level.WARNING,
            duration_ms=1000 * (time.monotonic() - self.began),
            success=success,
            accepted=report.accepted,
            duplicate=report.duplicate,
            rejected=report.rejected_count,
        )


def ingest(
    source: Source,
    *,
    title: str,
    report: Report,
    on_batch: Callable[[Report], None] = lambda part: None,
) -> str:
    """Ingest ``source`` as a task; add to ``report`` as it goes, return the session's id.

    ``on_batch`` gets the report of each batch. Raises SchemaMissing before anything is written,
    and what the database raises; the batches before are stored then.
    """
    schema_gate.check()
    task = Task(f"{INGEST_SESSION}{uuid7()}", title, time.monotonic())
    is_done = False
    try:
        task.record(Name.TASK_START, title=title)
        task.record(
            Name.DECISION, decision="schema_ok", rationale="All tables of telemetry are there."
        )
        _read(task, source, report, on_batch)
        is_done = True
    except ProgrammingError as error:
        if not schema_gate.is_missing(error):
            raise
        raise schema_gate.refusal("A table disappeared meanwhile.") from error
    finally:
        connection = database.connection()
        if not (is_done or connection.in_atomic_block):
            connection.close()  # it may be in the middle of a statement
        # If the database is away, that is the error to report, not this one.
        with contextlib.nullcontext() if is_done else contextlib.suppress(DatabaseError):
            task.end(report, success=is_done and not report.rejected_count)
    return task.session


def _read(task: Task, source: Source, report: Report, on_batch: Callable[[Report], None]) -> None:
    def sender_now() -> Sender:
        return Sender(Window.at(clock.now()))

    is_fresh = True
    for part in _ahead(lambda: stream.batches(source.chunks(), sender_now=sender_now)):
        began = time.monotonic()
        done = stream.store(part, is_fresh=is_fresh)
        is_fresh = not done.duplicate
        report.add(done)
        task.record(
            Name.EVENT_INSERT,
            duration_ms=1000 * (time.monotonic() - began),
            accepted=done.accepted,
            duplicate=done.duplicate,
            rejected=done.rejected_count,
        )
        on_batch(done)


def _ahead(produce: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Return what ``produce`` yields, made in a thread while the caller works."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    is_given_up = threading.Event()

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in produce():
                ready.put((item, None))
                if is_given_up.is_set():
                    return
        except BaseException as raised:
            error = raised
        ready.put((None, error))

    # A daemon: it may wait for a pipe for ever.
    thread = threading.Thread(target=work, name="ingest-reader", daemon=True)
    # The caller waits for the database most of the time. When an answer is there it shouldn't wait
    # for this thread as well, at each statement.
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        sys.setswitchinterval(switch_interval)
        is_given_up.set()
        with contextlib.suppress(queue.Empty):
            ready.get_nowait()


def _chain(start: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from chunks
