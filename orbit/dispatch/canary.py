"""How a bulk requeue fares: its canary first, then the ends of the jobs that it made.

One job goes ahead, and the rest waits for its 2xx. After that a run stops by itself when ``MOST_DEAD`` of its jobs ended dead one after
the other: the receiver is not well, and more of the same helps nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection

from orbit.states import Job, Letter

PATIENCE_SECONDS = 600.0
MOST_DEAD = 10
# The newest jobs that are looked through: a bound for what one slice reads, however many wait.
_WINDOW = 20_000

FATE = """SELECT j.status, j.last_error, l.status, again.reason, extract(epoch FROM clock_timestamp() - j.created_at)::float8
FROM orbit_dispatchjob j JOIN orbit_deadletterdispatch l ON l.requeued_job_id = j.id LEFT JOIN orbit_deadletterdispatch again ON again.job_id = j.id
WHERE j.id = %s"""
# From the first job on that was still open when last looked at: everything before it has ended and was counted.
ENDS = f"""WITH own AS MATERIALIZED (
    SELECT i.object_id, j.status, j.finished_at FROM governance_operationrunitem i
    JOIN orbit_deadletterdispatch l ON l.id = i.object_id JOIN orbit_dispatchjob j ON j.id = l.requeued_job_id
    WHERE i.run_id = %(run)s AND i.outcome = 'succeeded' AND (%(first)s::uuid IS NULL OR i.object_id >= %(first)s::uuid)
    ORDER BY i.object_id DESC LIMIT {_WINDOW})
SELECT (SELECT object_id FROM own WHERE status IN ('pending', 'sending') ORDER BY object_id LIMIT 1),
    (SELECT object_id FROM own ORDER BY object_id DESC LIMIT 1),
    (SELECT array_agg(status ORDER BY finished_at) FROM own WHERE status IN ('delivered', 'dead')
        AND (%(since)s::timestamptz IS NULL OR finished_at > %(since)s::timestamptz)),
    (SELECT max(finished_at) FROM own WHERE status IN ('delivered', 'dead'))"""


class Fate(StrEnum):
    """What became of a canary."""

    WAITS = "waits"
    WELL = "well"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the rest may follow the canary, and why not."""

    fate: Fate
    note: str = ""


def judge(status: str, error: str, letter: str, reason: str | None, age: float) -> Verdict:
    """Return what the canary's job tells: its status and last error, its letter's status, the reason of its death, its age in seconds."""
    if status == Job.DELIVERED or letter == Letter.DELIVERED_LATE:
        return Verdict(Fate.WELL)
    if status == Job.DEAD:
        return Verdict(
            Fate.STOP,
            f"the canary died ({reason or 'no reason'}: {error or 'no error'}); nothing else was sent",
        )
    if status == Job.CANCELLED:
        return Verdict(
            Fate.STOP, f"the canary was cancelled ({error or 'no error'}); nothing else was sent"
        )
    if age > PATIENCE_SECONDS:
        said = f"the canary was not delivered within {PATIENCE_SECONDS / 60:.0f} minutes ({error or status}); nothing else was sent, and its own job goes on"
        return Verdict(Fate.STOP, said)
    return Verdict(
        Fate.WAITS,
        f"waiting for the canary's job to be delivered ({status}{': ' + error if error else ''})",
    )


def look(job_id: UUID) -> Verdict:
    """Return what became of the canary ``job_id``."""
    with connection.cursor() as cursor:
        cursor.execute(FATE, [job_id])
        row = cursor.fetchone()
    return Verdict(Fate.STOP, "the canary's job is gone") if row is None else judge(*row)


def streak(before: int, ends: Iterable[str]) -> int:
    """Return how many ended dead one after the other, up to the last of ``ends``; ``before`` is that number before them."""
    for status in ends:
        before = 0 if status == Job.DELIVERED else before + 1
        if before >= MOST_DEAD:
            return before
    return before


def follow(run_id: UUID, progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's ``progress`` with the ends of its jobs since the last look."""
    since = progress.get("seen_until")
    with connection.cursor() as cursor:
        cursor.execute(ENDS, {"run": run_id, "first": progress.get("first_open"), "since": since})
        first_open, newest, ends, until = cursor.fetchone()
    last: datetime | None = until
    edge = first_open or newest
    return {
        **progress,
        "delivered": progress.get("delivered", 0)
        + sum(status == Job.DELIVERED for status in ends or ()),
        "dead": progress.get("dead", 0) + sum(status == Job.DEAD for status in ends or ()),
        "dead_in_a_row": streak(progress.get("dead_in_a_row", 0), ends or ()),
        **({} if edge is None else {"first_open": str(edge)}),
        **({} if last is None else {"seen_until": max(last.isoformat(), since or "")}),
    }
