"""The queue: the one module of the apps that knows Django-Q2.

A row of the queue is a wake-up or a small idempotent task, never the truth: what is to be done, and when, stands in ``next_due_at`` of a
cycle and in the row of a tick. So a row that is lost, doubled or late harms nothing, and the keeper wakes what was forgotten.

A row joins the transaction of whoever enqueues it. NOTIFY doesn't: it takes a lock that the whole database shares, so it is sent after
the commit, and at most every 20 ms by one process. A NOTIFY that was held back is made good by the receivers: whoever was woken looks
again a little later than that (``LINGER``), so the row of the one that was held back is found without a sound.

Times are the database's: a web server whose clock is ahead delays no task.
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

log = logging.getLogger(__name__)

ADVANCE, TICK, OPERATE = "orbit.tasks.advance", "orbit.tasks.tick", "orbit.tasks.operate"
#: What may be run. A row that names anything else is never imported.
TASKS = {ADVANCE, TICK, OPERATE}

QUEUE, WAKE, BAD = str(Conf.CLUSTER_NAME), "orbit.wake", "orbit.bad"
CHANNEL = "orbit_q"
QUIET = 0.02
LINGER = 0.03
KEPT_WAKEUPS = 8
PUT_BACK_SECONDS = 30
GIVE_UP = timedelta(minutes=10)
#: A time before, or beyond, is none that every reader can hold.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

# now() and not clock_timestamp(): a volatile function can't bound the scan of the index (lock, id).
CLAIM = """UPDATE django_q_ormq AS q SET lock = now() + %s * interval '1 second'
FROM (SELECT id FROM django_q_ormq WHERE key = ANY(%s) AND lock <= now() ORDER BY lock, id LIMIT %s FOR UPDATE SKIP LOCKED) AS c
WHERE q.id = c.id RETURNING q.id, q.payload"""
ENQUEUE = "INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, coalesce(%s, now())) RETURNING id"
# Every shift that ends names the next moment: one row for each second will do. Of wake-ups alone: a task of another one may be meant.
ENQUEUE_LATER = """INSERT INTO django_q_ormq (key, payload, lock) SELECT %(key)s, %(payload)s, %(at)s
WHERE NOT EXISTS (SELECT 1 FROM django_q_ormq WHERE key = %(key)s AND lock > %(at)s - interval '1 second' AND lock <= %(at)s) RETURNING id"""
# The kept ones are read without a lock: a worker that claims meanwhile must not find all of them locked.
COLLAPSE = """WITH kept AS MATERIALIZED (SELECT id FROM django_q_ormq WHERE key = %(key)s AND lock <= now() ORDER BY lock, id LIMIT %(kept)s),
surplus AS MATERIALIZED (SELECT id FROM django_q_ormq WHERE key = %(key)s AND lock <= now() AND id <> ALL(ARRAY(SELECT id FROM kept)) FOR UPDATE SKIP LOCKED)
DELETE FROM django_q_ormq AS q USING surplus WHERE q.id = surplus.id"""
# A hundred years: out of the claim's way, and a time that every reader can hold.
QUARANTINE = "UPDATE django_q_ormq SET key = %s, lock = now() + interval '100 years' WHERE id = %s"
PRUNE = """DELETE FROM django_q_task WHERE id IN
(SELECT id FROM django_q_task WHERE stopped < now() - %s * interval '1 day' ORDER BY stopped LIMIT %s)"""


class PgBroker(ORM):  # type: ignore[misc]
    """Django-Q2's broker on PostgreSQL: one round trip a claim, no two claimers wait for each other, nothing is ever thrown away."""

    def __init__(self, list_key: str | None = None, *, at: datetime | None = None) -> None:
        """``at`` is when what is enqueued becomes ready; None is at once."""
        super().__init__(list_key=list_key)
        self.at = at

    @staticmethod
    def get_connection(list_key: str | None = None) -> None:
        """Open and close nothing: rows go through Django's connection, in whatever transaction it is."""

    def enqueue(self, task: str) -> int | None:
        """Insert a row in the caller's transaction; None where the same moment has its wake-up already."""
        with connection.cursor() as cursor:
            if self.at is None or self.list_key != WAKE:
                cursor.execute(ENQUEUE, [self.list_key, task, self.at])
            else:
                cursor.execute(
                    ENQUEUE_LATER, {"key": self.list_key, "payload": task, "at": self.at}
                )
            row = cursor.fetchone()
        return row[0] if row else None

    def dequeue(self) -> list[tuple[int, str]]:
        """Claim what is ready, oldest first: (id, payload). After a crash of the claimer the row is ready again once ``retry`` is over."""
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, [Conf.RETRY, [QUEUE, WAKE], Conf.BULK])
            return [(row, payload) for row, payload in cursor.fetchall()]

    def delete(self, task_id: int) -> None:
        """Remove a row that was run."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_q_ormq WHERE id = %s", [task_id])

    def put_back(self, task_id: int) -> None:
        """Leave a claimed row to others: it is ready again in half a minute."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_q_ormq SET lock = now() + %s * interval '1 second' WHERE id = %s",
                [PUT_BACK_SECONDS, task_id],
            )

    def fail(self, task_id: int) -> None:
        """Put a row that can't be run under the key ``orbit.bad``, where a person may look at it."""
        with connection.cursor() as cursor:
            cursor.execute(QUARANTINE, [BAD, task_id])


class _PlainUnpickler(pickle.Unpickler):
    """Reads what ``wake`` writes, and imports nothing else: a signed row of another release could name any module."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "datetime" and name in {"datetime", "timedelta", "timezone"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} doesn't belong in a task.")


class _PlainPickles:
    @staticmethod
    def loads(data: bytes) -> Any:
        return _PlainUnpickler(BytesIO(data)).load()


def wake(task: str = ADVANCE, *args: str, at: datetime | None = None) -> None:
    """Have ``task`` run with ``args``, at once or, with ``at``, at that moment of the database's clock.

    The row joins the transaction that is open; the workers are told after its commit. An ``ADVANCE`` for a moment that has one within the
    second before it adds nothing; other tasks are each for something of their own.
    """
    broker = PgBroker(WAKE if task == ADVANCE else QUEUE, at=at)
    async_task(task, *args, broker=broker)
    if at is None or at <= datetime.now(UTC):
        transaction.on_commit(_bell.ring)


def collapse() -> int:
    """Delete the ready wake-ups beyond the first eight, and return how many.

    Call it before the first claim of a shift: whoever sees a wake-up sees its cycle too, so that shift's claim finds what the deleted
    ones stood for. Rows that another worker is claiming are left to it.
    """
    with connection.cursor() as cursor:
        cursor.execute(COLLAPSE, {"key": WAKE, "kept": KEPT_WAKEUPS})
        return int(cursor.rowcount)


def tasks_wait(seconds: float = 0.0) -> bool:
    """Tell whether a task other than a wake-up, such as a tick, waits for a worker, and has for so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM django_q_ormq WHERE key = %s AND lock <= now() - %s * interval '1 second')",
            [QUEUE, seconds],
        )
        return bool(cursor.fetchone()[0])


def ready_wakeups() -> int:
    """Return how many wake-ups wait for a worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM django_q_ormq WHERE key = %s AND lock <= now()", [WAKE]
        )
        return int(cursor.fetchone()[0])


def read(row: int, payload: str) -> dict[str, Any] | None:
    """Return the task of a claimed row, or None where it can't be run here.

    A row that isn't ours, or can't be read, is quarantined. A task that isn't in the table is put back for half a minute, since a newer
    release may know it, and quarantined ten minutes after it was enqueued.
    """
    broker = PgBroker()
    try:
        task: dict[str, Any] = core_signing.loads(
            payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_PlainPickles
        )
        name, waited = task["func"], datetime.now(UTC) - task["started"]
    except Exception as error:
        # Whatever a damaged row holds, it must not end the worker.
        log.error(
            "Queue row %s is quarantined under %s: %s (%s). Do web and cluster share ORBIT_SECRET_KEY?",
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
        broker.put_back(row)
        return None
    log.error(
        "Queue row %s is quarantined under %s: this release knows no task %r.", row, BAD, name
    )
    broker.fail(row)
    return None


def schedules() -> "QuerySet[Any]":
    """Return the rows of Orbit's schedules, in the order in which they were made; ``due`` is their next run in bounds that every reader can hold."""
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
    """Delete up to ``limit`` failed tasks that are older than ``days``; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(PRUNE, [days, limit])
        return int(cursor.rowcount)


class _Bell:
    """Tells the workers of every cluster that there is something, at most every 20 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = 0.0

    def ring(self) -> None:
        """Send NOTIFY, unless it was sent just now. The rows are committed: an error here delays them by a poll, and is no one's failure."""
        now = time.monotonic()
        with self._lock:
            if now - self._rung < QUIET:
                return
            self._rung = now
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
        except (DatabaseError, InterfaceError) as error:
            self._rung = 0.0
            log.warning(
                "The workers couldn't be told of new work (%s); they find it by themselves.", error
            )


_bell = _Bell()
