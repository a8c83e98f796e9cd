"""Triggers that started nothing: they met an active cycle, or a closed gate.

Recorded at once, then at most once a minute and namespace with the number held back since.
"""

from django.db import connection, transaction

from governance.kernel.errors import OrbitError
from orbit.records import execution
from orbit.records.execution import Record
from orbit.states import Trigger

# ``carried`` keeps what ``suppressed`` was when a record became due, for RETURNING shows only new values.
NOTE = """INSERT INTO orbit_skipnotice AS n (namespace, written_at) VALUES (%s, clock_timestamp())
ON CONFLICT (namespace) DO UPDATE SET
    carried = n.suppressed,
    suppressed = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN 0 ELSE n.suppressed + 1 END,
    written_at = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN clock_timestamp() ELSE n.written_at END
RETURNING suppressed = 0, carried"""
# A pause refuses before anybody has looked whether there is such a namespace.
NOTE_KNOWN = NOTE.replace("VALUES (%s, clock_timestamp())", "SELECT %s, clock_timestamp() FROM governance_namespace WHERE name = %s")


def note(namespace: str, *, trigger: Trigger, active: str, run_profile_id: str | None) -> None:
    """Record that a trigger started nothing because the cycle ``active`` runs in ``namespace``; in a transaction of its own."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [namespace])
            due, carried = cursor.fetchone()
        if due:
            message = f"the cycle {active} is active" + (f"; {carried} more triggers were skipped since the last record" if carried else "")
            data = {"trigger": trigger, "active_cycle_run_id": active, "run_profile_id": run_profile_id, "suppressed": carried}
            execution.write(Record("cycle", "cycle_skipped", message, "warning", data), namespace=namespace)


def refused(namespace: str, refusal: OrbitError, *, trigger: Trigger, run_profile_id: str | None) -> None:
    """Record that a trigger was refused at the gate of ``namespace``, by whom and why; in a transaction of its own."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # A name of its own beside that of the skips: a halt that begins just then is on record too.
            cursor.execute(NOTE_KNOWN, [f"{namespace[:80]} {refusal.code}"[:100], namespace])
            due, carried = cursor.fetchone() or (False, 0)
        if due:
            data = {"trigger": trigger, "code": refusal.code, "run_profile_id": run_profile_id, "suppressed": carried}
            execution.write(Record("governance", "refused", refusal.detail, "warning", data), namespace=namespace)
