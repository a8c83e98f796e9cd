"""Triggers that started nothing: they met an active cycle, or a closed gate.

Recorded at once, then at most once a minute and namespace with the number held back since.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from governance.kernel.errors import OrbitError
from orbit.records import execution
from orbit.records.execution import Record
from orbit.states import Trigger

# ``carried`` keeps what ``suppressed`` was when a record became due, for RETURNING shows only new values. One of the triggers is the record's
# own, so ``suppressed`` is one less than came just now exactly where a record is due. By name, so that no two calls wait for each other.
NOTE = """INSERT INTO orbit_skipnotice AS n (namespace, written_at, suppressed)
SELECT x.namespace, clock_timestamp(), x.number - 1 FROM unnest(%s::text[], %s::int[]) AS x(namespace, number) ORDER BY x.namespace
ON CONFLICT (namespace) DO UPDATE SET
    carried = n.suppressed,
    suppressed = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN excluded.suppressed ELSE n.suppressed + excluded.suppressed + 1 END,
    written_at = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN clock_timestamp() ELSE n.written_at END
RETURNING namespace, suppressed, carried"""
# A pause refuses before anybody has looked whether there is such a namespace.
NOTE_REFUSAL = NOTE.replace(
    "x.number - 1 FROM",
    "x.number - 1 FROM (SELECT 1 FROM governance_namespace WHERE name = %s) AS known,",
)


@dataclass(frozen=True, slots=True)
class Skip:
    """A trigger for ``run_profile_id`` (None: for a raw cycle) that met the cycle ``active``."""

    namespace: str
    active: str
    run_profile_id: str | None


def record_skips(skips: Sequence[Skip], *, trigger: Trigger) -> None:
    """Record that triggers started nothing because cycles were active; in a transaction of its own, or the caller's."""
    first = {skip.namespace: skip for skip in reversed(skips)}
    numbers = Counter(skip.namespace for skip in skips)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [list(numbers), list(numbers.values())])
            due = [
                (first[namespace], carried)
                for namespace, held_back, carried in cursor.fetchall()
                if held_back == numbers[namespace] - 1
            ]
        execution.write_all(
            [(_record(skip, carried, trigger), skip.namespace, None) for skip, carried in due]
        )


def _record(skip: Skip, carried: int, trigger: Trigger) -> Record:
    message = f"the cycle {skip.active} is active" + (
        f"; {carried} more triggers were skipped since the last record" if carried else ""
    )
    data = {
        "trigger": trigger,
        "active_cycle_run_id": skip.active,
        "run_profile_id": skip.run_profile_id,
        "suppressed": carried,
    }
    return Record("cycle", "cycle_skipped", message, "warning", data)


def record_refusal(
    namespace: str, refusal: OrbitError, *, trigger: Trigger, run_profile_id: str | None
) -> None:
    """Record that a trigger was refused at the gate of ``namespace``, by whom and why; in a transaction of its own."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # A name of its own beside that of the skips: a halt that begins just then is on record too.
            cursor.execute(
                NOTE_REFUSAL, [namespace, [f"{namespace[:80]} {refusal.code}"[:100]], [1]]
            )
            _, held_back, carried = cursor.fetchone() or ("", 1, 0)
        if not held_back:
            data = {
                "trigger": trigger,
                "code": refusal.code,
                "run_profile_id": run_profile_id,
                "suppressed": carried,
            }
            execution.write(
                Record("governance", "refused", refusal.detail, "warning", data),
                namespace=namespace,
            )
