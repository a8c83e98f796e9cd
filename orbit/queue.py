"""The queue: the only module of the apps that knows Django-Q2.

What is due is in the cycles and ticks themselves, so a lost, doubled or late row does no harm. All
times are the database's.
"""

import logging
import pickle
import threading
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Case, DateTimeField, QuerySet, Value, When
from django.db.models.functions import Greatest, Least
from django_q import core_signing
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.tasks import async_task

from governance.kernel import availability, clock, sql

log = logging.getLogger(__name__)

ADVANCE, TICK, OPERATE = "orbit.tasks.advance", "orbit.tasks.tick", "orbit.tasks.operate"
#: The tasks that may be run. Nothing else that a row names is imported.
TASKS = {ADVANCE, TICK, OPERATE}

QUEUE, WAKE, BAD = str(Conf.CLUSTER_NAME), "orbit.wake", "orbit.bad"
CHANNEL = "orbit_q"
# NOTIFY locks the whole database until its commit, so it is sent after ours, at most once in QUIET
# seconds. A woken worker looks again after LINGER, for rows whose NOTIFY was held back.
QUIET = 0.02
LINGER = 0.03
KEPT_WAKEUPS, MOST_COLLAPSED = 8, 1000
PUT_BACK_SECONDS = 30
GIVE_UP = timedelta(minutes=10)
#: The database allows times that not every reader can hold.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

# Rows that a claim passes over because other workers are claiming them.
OTHERS = 32
CLAIM = sql.load(__name__, "claim_tasks", others=OTHERS)
#: What an idle worker asks, with these values: is the server read-only, and when is a task ready?
LOOK = sql.load(__name__, "look_for_tasks", is_read_only=availability.IS_READ_ONLY)
LOOKED_FOR = {"keys": [QUEUE, WAKE]}
ENQUEUE = sql.load(__name__, "enqueue")
ENQUEUE_LATER = sql.load(__name__, "enqueue_later")
DELETE = sql.load(__name__, "delete_task")
COLLAPSE = sql.load(__name__, "collapse_wakeups")
PRUNE = sql.load(__name__, "prune_failed_tasks")
PRUNE_BAD = sql.load(__name__, "prune_bad_rows")


class PgBroker(ORM):  # type: ignore[misc]
    """Django-Q2's broker on PostgreSQL. A claim is one round trip."""

    def __init__(self, list_key: str | None = None, *, at: datetime | None = None) -> None:
        super().__init__(list_key=list_key)
        #: When enqueued tasks become ready; None is at once.
        self.at = at

    @staticmethod
    def get_connection(list_key: str | None = None) -> None:
        """Do nothing: rows go through Django's connection."""

    def enqueue(self, task: str) -> int | None:
        """Insert a row in the caller's transaction; return its id.

        None if there is a wake-up for this moment already.
        """
        if self.at is not None and self.list_key == WAKE:
            rows = ENQUEUE_LATER.rows(key=self.list_key, payload=task, at=self.at)
        else:
            rows = ENQUEUE.send(key=self.list_key, payload=task, at=self.at)
        return rows[0][0] if rows else None

    def dequeue(self) -> list[tuple[int, str]]:
        """Claim ready tasks, oldest first, as (id, payload)."""
        # If the claimer dies, they are ready again after ``retry`` seconds.
        tasks = CLAIM.send(seconds=Conf.RETRY, keys=[QUEUE, WAKE], limit=Conf.BULK)
        return [(row, payload) for row, payload in tasks]

    def delete(self, task_id: int) -> None:
        """Remove a row that was run."""
        DELETE.send(id=task_id)

    def put_back(self, task_id: int) -> None:
        """Leave a claimed row to other workers, in half a minute."""
        _execute(
            "UPDATE django_q_ormq SET lock = now() + %s * interval '1 second' WHERE id = %s",
            [PUT_BACK_SECONDS, task_id],
        )

    def fail(self, task_id: int) -> None:
        """Move a row that can't be run to the key ``orbit.bad``."""
        # A hundred years: no claim takes it, and every reader can hold the time.
        _execute(
            "UPDATE django_q_ormq SET key = %s, lock = now() + interval '100 years' WHERE id = %s",
            [BAD, task_id],
        )


def _one(query: str, values: list[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def _execute(query: str, values: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)


class _PlainUnpickler(pickle.Unpickler):
    # A row is signed, but one of another release could import any module.
    def find_class(self, module: str, name: str) -> Any:
        if module == "datetime" and name in {"datetime", "timedelta", "timezone"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} doesn't belong in a task.")


class _PlainPickles:
    @staticmethod
    def loads(data: bytes) -> Any:
        return _PlainUnpickler(BytesIO(data)).load()


def wake(task: str = ADVANCE, *args: str, at: datetime | None = None) -> None:
    """Have ``task`` run with ``args``, now or ``at`` a moment of the database's clock.

    The row joins the open transaction.
    """
    broker = PgBroker(WAKE if task == ADVANCE else QUEUE, at=at)
    async_task(task, *args, broker=broker)
    # Workers poll for the later ones.
    if at is None or at <= clock.now():
        transaction.on_commit(_notifier.notify)


def collapse() -> int:
    """Delete ready wake-ups beyond the first eight, at most 1,000; return how many.

    Call it before a runner's first claim, which finds their work.
    """
    # Rows that another worker is claiming stay.
    return len(COLLAPSE.send(key=WAKE, kept=KEPT_WAKEUPS, most=MOST_COLLAPSED))


def tasks_wait(seconds: float = 0.0) -> bool:
    """Return whether a task has waited this long; wake-ups don't count."""
    row = _one(
        "SELECT EXISTS (SELECT 1 FROM django_q_ormq"
        " WHERE key = %s AND lock <= now() - %s * interval '1 second')",
        [QUEUE, seconds],
    )
    return bool(row and row[0])


def ready_wakeups() -> int:
    """Return how many wake-ups wait for a worker; counts up to 100."""
    row = _one(
        "SELECT count(*) FROM (SELECT 1 FROM django_q_ormq"
        " WHERE key = %s AND lock <= now() LIMIT 100) AS ready",
        [WAKE],
    )
    return int(row[0]) if row else 0


def read(row: int, payload: str) -> dict[str, Any] | None:
    """Return a claimed row's task, or None if it can't run here."""
    broker = PgBroker()
    try:
        task: dict[str, Any] = core_signing.loads(
            payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_PlainPickles
        )
        name, waited = task["func"], clock.now() - task["started"]
    except Exception as error:
        # Whatever a damaged row holds, it must not end the worker.
        log.error(
            "Queue row %s can't be read and is quarantined under %s: %s (%s). "
            "Check that web and cluster share ORBIT_SECRET_KEY.",
            row,
            BAD,
            type(error).__name__,
            error,
        )
        broker.fail(row)
        return None
    if name in TASKS:
        return {**task, "ack_id": row, "cluster": QUEUE}
    if waited < GIVE_UP:
        # A worker of a newer release may know this task.
        broker.put_back(row)
        return None
    log.error(
        "Queue row %s is quarantined under %s: this release knows no task %r.", row, BAD, name
    )
    broker.fail(row)
    return None


def schedules() -> "QuerySet[Any]":
    """Return Orbit's schedules, oldest first, with ``due``: their next run."""
    due = Case(
        When(
            next_run__isnull=False, then=Least(Greatest("next_run", Value(EARLIEST)), Value(LATEST))
        ),
        default=None,
        output_field=DateTimeField(),
    )
    rows: QuerySet[Any] = (
        Schedule.objects.filter(func=TICK).defer("next_run").annotate(due=due).order_by("id")
    )
    return rows


def prune_failures(*, days: int = 7, limit: int = 10_000) -> int:
    """Delete up to ``limit`` failed tasks older than ``days`` days."""
    return PRUNE.execute(days=days, most=limit)


def prune_quarantined(*, days: int = 90, limit: int = 10_000) -> int:
    """Delete up to ``limit`` rows that were quarantined ``days`` days ago."""
    return PRUNE_BAD.execute(key=BAD, days=days, most=limit)


class _Notifier:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = 0.0

    def notify(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._sent < QUIET:
                return
            self._sent = now
        try:
            with connection.cursor() as cursor:
                # Its commit needn't wait for the disk: there is nothing to keep.
                cursor.execute(
                    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, '')",
                    [CHANNEL],
                )
        except (DatabaseError, InterfaceError) as error:
            # The rows are committed: this only delays them until the workers poll.
            self._sent = 0.0
            log.warning(
                "The workers couldn't be notified (%s). They poll, and find the work.", error
            )


# A global and no worker's: every process that enqueues needs one, and web servers enqueue most.
_notifier = _Notifier()
