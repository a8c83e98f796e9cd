"""The coalescing writer: what the slots of a process write meanwhile shares a statement and commit.

A slot hands its write in and waits. A thread takes all that wait, puts those with the same
statement together, and commits them on its own connection. While it waits for the database, the
next ones gather: one cycle alone doesn't wait, and many share a commit.

Each write ends as it would alone. If the server refuses a batch, nothing of it was written, and
each slot runs its own write on its own connection. If the answer is lost, each slot hears so, takes
a new token and reads what is there. After a SIGKILL the batch is there as a whole, or not at all.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import OperationalError, connection

from governance.kernel import availability, sql
from governance.kernel.throttled_log import ThrottledLog
from orbit.records import fence
from orbit.records.fence import FencedWrite, Rows

logger = logging.getLogger(__name__)

#: The most writes of a batch, and the most bytes of its payloads.
MOST, MOST_BYTES = 64, 4 * 1024 * 1024
#: A write with larger payloads runs alone: the others don't wait for it.
LARGE = 512 * 1024
#: While other slots run, a write waits this long for theirs. A commit takes about as long.
GATHER_SECONDS = 0.01
#: An idle writer looks this often whether its connection is still good for anything.
IDLE_SECONDS = 5.0
#: A batch that waits longer for a lock is given up: one locked row must not hold up all cycles. It
#: is shorter than PostgreSQL's ``deadlock_timeout``, so batches don't end in deadlocks either.
LOCK_TIMEOUT = "200ms"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A write whose slot waits."""

    write: FencedWrite
    bytes: int
    #: None: nothing was written, and the slot runs it alone.
    rows: Rows | None = None
    #: The answer was lost.
    error: BaseException | None = None
    #: Held until the outcome is there.
    done: threading.Lock = field(default_factory=threading.Lock)


class Writer:
    """The writer of one process: a thread and a connection, from the first write or warm-up on."""

    def __init__(self, reconnects: Callable[[], int]) -> None:
        #: How often the process found that its connections may lead to the wrong server.
        self._reconnects = reconnects
        self._reconnected = reconnects()
        self._session: object | None = None
        self._lock = threading.Lock()
        #: Slots on their way to a write.
        self._busy = 0
        self._waiting: list[_Waiting] = []
        #: Whether the thread waits, and for all that are busy.
        self._sleeps = self._gathers = False
        self._awake = threading.Semaphore(0)
        self._is_started = False
        self._log = ThrottledLog(logger.warning)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count this thread among those whose writes come soon."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Don't wait for this thread's write: something outside comes first."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._busy += change
            self._wake()

    def commit(self, write: FencedWrite) -> Rows | None:
        """Commit ``write`` with what others hand in; return its rows, [] if it is fenced.

        Return None if it has to run alone. Raises OperationalError if the outcome is unknown.
        """
        size = sum(map(len, write.blobs))
        if size > LARGE:
            return None
        waiting = _Waiting(write, size)
        waiting.done.acquire()
        with self._lock:
            if not self._is_started and not self._start():
                return None
            self._waiting.append(waiting)
            self._busy -= 1
            self._wake()
        waiting.done.acquire()
        self._count(1)
        if waiting.error is not None:
            raise OperationalError(*waiting.error.args) from waiting.error.__cause__
        return waiting.rows

    def warm_up(self, writes: Iterable[FencedWrite]) -> None:
        """Have the thread connect and run ``writes``, which are of no cycle; don't wait for it.

        The server plans their statements then, and not while the first cycles wait.
        """
        with self._lock:
            if self._is_started or self._start():
                self._waiting += [_Waiting(write, 0) for write in writes]
                self._wake()

    def _start(self) -> bool:
        """Start the thread. False: the system has none left, and the next write tries again."""
        try:
            threading.Thread(target=self._serve, name="writer", daemon=True).start()
        except RuntimeError as error:
            self._log.report("no thread for the writer, so each write runs alone", error)
            return False
        self._is_started = True
        return True

    def _wake(self) -> None:
        """Wake the thread if it has something to do. Needs the lock."""
        if self._sleeps and self._waiting and (not self._gathers or self._busy <= 0):
            self._sleeps = False
            self._awake.release()

    def _sleep(self, seconds: float, *, gathers: bool = False) -> bool:
        """Wait for a write, or gather those of all busy slots; return False after ``seconds``."""
        with self._lock:
            self._sleeps, self._gathers = True, gathers
            self._wake()
        if self._awake.acquire(timeout=seconds):
            return True
        with self._lock:
            is_late, self._sleeps = self._sleeps, False
        if not is_late:
            self._awake.acquire()  # woken after the time, before the lock
        return not is_late

    def _take(self) -> list[_Waiting]:
        while not self._sleep(IDLE_SECONDS):
            self._leave_old_server()
        self._sleep(GATHER_SECONDS, gathers=True)
        with self._lock:
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        return taken

    def _serve(self) -> None:
        while True:
            try:
                self._commit_all(self._take())
            except Exception:  # without this thread all slots would wait for ever
                logger.exception("the writer goes on after an error")

    def _commit_all(self, taken: Sequence[_Waiting]) -> None:
        try:
            for batch in batches(taken):
                self._commit(batch)
                _wake_slots(batch)
        finally:
            _wake_slots(taken)

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Commit ``batch``, and give each of it its rows or its error."""
        try:
            parameters = fence.parameters([waiting.write for waiting in batch])
            self._connect()
        except Exception as exc:
            # Nothing was sent. Alone, each finds its own error.
            self._log.report("a batch could not be sent, so each write runs alone", exc)
            return
        by_cycle: defaultdict[UUID, Rows] = defaultdict(list)
        try:
            for row in sql.send(batch[0].write.sql, parameters):
                by_cycle[row[0]].append(row)
        except Exception as exc:
            if _is_refused(exc):
                return
            for waiting in batch:
                waiting.error = exc
            connection.close()
            return
        for waiting in batch:
            waiting.rows = by_cycle[waiting.write.cycle.id]

    def _leave_old_server(self) -> None:
        if self._reconnected != self._reconnects():
            # The server may be silent, or no longer the primary.
            self._reconnected = self._reconnects()
            connection.close()

    def _connect(self) -> None:
        self._leave_old_server()
        connection.ensure_connection()
        if connection.connection is not self._session:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
            except Exception:
                connection.close()  # Django would keep a connection that the server has closed
                raise
            self._session = connection.connection


def _wake_slots(batch: Sequence[_Waiting]) -> None:
    for waiting in batch:
        # A slot that has gone on may have it locked again, and needs it no more.
        if waiting.done.locked():
            waiting.done.release()


def _is_refused(error: Exception) -> bool:
    """Tell whether the server refused a statement as a whole: nothing of it was written."""
    # A server that can't write its log any more names the disk, and ends: after its recovery the
    # commit may be there.
    is_open = connection.connection is not None and not connection.connection.closed
    return is_open and bool(availability.sqlstate(error)) and not availability.is_lost(error)


def batches(waiting: Sequence[_Waiting]) -> Iterator[list[_Waiting]]:
    """Divide ``waiting`` into batches of one statement, in which no cycle comes twice."""
    by_statement: dict[str, list[_Waiting]] = {}
    for each in waiting:
        by_statement.setdefault(each.write.sql, []).append(each)
    for group in by_statement.values():
        batch: list[_Waiting] = []
        cycles: set[UUID] = set()
        size = 0
        for each in group:
            does_fit = (
                each.write.cycle.id not in cycles
                and size + each.bytes <= MOST_BYTES
                and (not batch or batch[0].write.values == each.write.values)
            )
            if batch and not does_fit:
                yield batch
                batch, cycles, size = [], set(), 0
            batch.append(each)
            cycles.add(each.write.cycle.id)
            size += each.bytes
        yield batch
