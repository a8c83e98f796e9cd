"""Requeued copies whose cycle ends before they are delivered: each becomes a dead letter of its own.

The letter that a copy was made of is closed, and points at it. Were the copy only cancelled, with its cycle, nobody could send that
delivery again: so it dies, with the reason why, and waits for a person once more.
"""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import connection

from governance.kernel.identifiers import uuid7_text

#: For an UPDATE that ends jobs ``j`` with their cycle: what becomes of each. No EXISTS: the planner may turn that into a walk over all letters.
ENDED_SQL = """CASE WHEN j.requeue_of_id IS NOT NULL AND (SELECT true FROM orbit_deadletterdispatch l WHERE l.requeued_job_id = j.id)
        THEN 'dead' ELSE 'cancelled' END"""

AMONG = "SELECT l.requeued_job_id FROM orbit_deadletterdispatch l WHERE l.requeued_job_id = ANY(%s::uuid[])"
BURY = """WITH wanted AS (SELECT * FROM json_to_recordset(%(jobs)s::json) AS x(letter_id uuid, job_id uuid, record_id uuid)),
letters AS (
    INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, attempts,
        first_failed_at, last_failed_at)
    SELECT wanted.letter_id, j.id, j.cycle_id, c.namespace, j.endpoint_key, 'open', %(reason)s, j.last_error, j.attempts,
        coalesce((SELECT min(r.finished_at) FROM orbit_deliveryreceipt r WHERE r.job_id = j.id AND r.status IN ('failed', 'unknown')), clock_timestamp()),
        clock_timestamp()
    FROM wanted JOIN orbit_dispatchjob j ON j.id = wanted.job_id JOIN orbit_cyclerun c ON c.id = j.cycle_id
    RETURNING id, job_id, cycle_id, namespace, endpoint_key, last_error),
records AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT wanted.record_id, letters.cycle_id, letters.cycle_id, 'dispatch', 'dead_letter_created', 'error', letters.namespace,
        letters.endpoint_key || ': requeued, and then ' || letters.last_error, jsonb_build_object('job_id', letters.job_id, 'reason', %(reason)s::text)
    FROM letters JOIN wanted ON wanted.letter_id = letters.id)
SELECT id FROM letters ORDER BY id"""


def among(jobs: Collection[UUID]) -> set[UUID]:
    """Return those of ``jobs`` that a letter was requeued to."""
    with connection.cursor() as cursor:
        cursor.execute(AMONG, [list(jobs)])
        return {job for (job,) in cursor.fetchall()}


def bury(jobs: Sequence[UUID], *, reason: str) -> list[str]:
    """Make a dead letter of each of ``jobs``, copies that died with their cycle; return the letters' ids. One statement; the caller audits it.

    It belongs into the transaction of that death: without it they are lost.
    """
    if not jobs:
        return []
    wanted = [
        {"letter_id": uuid7_text(), "job_id": str(job), "record_id": uuid7_text()} for job in jobs
    ]
    with connection.cursor() as cursor:
        cursor.execute(BURY, {"jobs": json.dumps(wanted), "reason": reason})
        return [str(letter) for (letter,) in cursor.fetchall()]
