"""What PostgreSQL's sessions do, sampled from outside."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType

import psycopg

#: What a session can be seen at, in the order of the table.
KINDS = ("CPU", "flush", "locks", "latches", "disk", "program", "other")
EVERY_SECONDS = 0.02
_FLUSHES = {"walwrite", "walsync", "waitforwalflush"}
_SAMPLE = r"""SELECT state, wait_event_type, wait_event,
    CASE WHEN state = 'active' THEN left(regexp_replace(query, '\s+', ' ', 'g'), 90) END,
    application_name
FROM pg_stat_activity
WHERE datname = %s AND application_name <> %s AND backend_type = 'client backend'"""


def kind(state: str | None, wait_type: str | None, wait: str | None) -> str | None:
    """Return what a session was seen at; None: it idled."""
    if state is None or state in ("idle", "disabled"):
        return None
    if (wait or "").lower() in _FLUSHES:
        return "flush"
    if wait_type is None:
        return "CPU"
    if wait_type == "Client":  # in a transaction that waits for its program
        return "program"
    return {"Lock": "locks", "LWLock": "latches", "BufferPin": "latches", "IO": "disk"}.get(
        wait_type, "other"
    )


@dataclass(slots=True)
class Profile:
    """What was seen in all samples."""

    samples: int = 0
    #: The most sessions of clusters in one sample, idle ones too.
    connections: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    workers: set[str] = field(default_factory=set)

    def add(
        self, rows: Iterable[tuple[str | None, str | None, str | None, str | None, str]]
    ) -> None:
        """Count one sample."""
        count = 0
        for state, wait_type, wait, query, application in rows:
            count += application.startswith("orbit-")
            what = kind(state, wait_type, wait)
            if what is None:
                continue
            self.kinds[what] += 1
            if wait_type is not None:
                self.events[f"{wait_type}:{wait}"] += 1
            if query:
                self.statements[query] += 1
            if application.startswith("orbit-worker"):
                self.workers.add(application)
        self.samples += 1
        self.connections = max(self.connections, count)

    def __add__(self, other: "Profile") -> "Profile":
        return Profile(
            self.samples + other.samples,
            max(self.connections, other.connections),
            self.kinds + other.kinds,
            self.events + other.events,
            self.statements + other.statements,
            self.workers | other.workers,
        )

    def sessions(self, what: str) -> float:
        """Return how many sessions were at ``what``, on average."""
        return self.kinds[what] / self.samples if self.samples else 0.0

    def shares(self, seen: Counter[str], most: int) -> list[tuple[str, float]]:
        """Return the ``most`` frequent of ``seen``, in sessions on average."""
        return [(name, count / max(1, self.samples)) for name, count in seen.most_common(most)]


class Sampler:
    """Samples a database's sessions on a thread, inside a ``with`` block."""

    def __init__(self, connection: psycopg.Connection, database: str, *, without: str) -> None:
        self._connection, self._parameters = connection, [database, without]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: Exception | None = None
        self.profile = Profile()

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                began = time.monotonic()
                self.profile.add(self._connection.execute(_SAMPLE, self._parameters).fetchall())
                self._ended.wait(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))
        except Exception as error:  # the main thread raises it
            self._error = error
