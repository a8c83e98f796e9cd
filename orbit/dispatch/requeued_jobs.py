"""Requeued copies whose cycle ends before they are delivered: each becomes a dead letter of its own.

The letter that a copy was made of is closed, and points at it. Were the copy only cancelled, with its cycle, nobody could send that
delivery again: so it dies, with the reason why, and waits for a person once more.
"""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7_text

#: What becomes of a job ``j`` that ends with its cycle.
ENDED_STATUS = sql.fragment(__name__, "ended_status")
ENDED_SQL = ENDED_STATUS.text  # for statements that are not in a file yet

FILTER = sql.load(__name__, "filter_requeued")
DEAD_LETTER_ALL = sql.load(__name__, "dead_letter_all")


def among(jobs: Collection[UUID]) -> set[UUID]:
    """Return those of ``jobs`` that a letter was requeued to."""
    return {job for (job,) in FILTER.rows(jobs=list(jobs))}


def bury(jobs: Sequence[UUID], *, reason: str) -> list[str]:
    """Make a dead letter of each of ``jobs``, copies that died with their cycle; return the letters' ids. One statement; the caller audits it.

    It belongs into the transaction of that death: without it they are lost.
    """
    if not jobs:
        return []
    wanted = [
        {"letter_id": uuid7_text(), "job_id": str(job), "record_id": uuid7_text()} for job in jobs
    ]
    rows = DEAD_LETTER_ALL.rows(jobs=json.dumps(wanted), reason=reason)
    return [str(letter) for (letter,) in rows]
