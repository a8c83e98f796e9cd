"""The value ledger: usage and value of a cycle, metered once, with its finish."""

from typing import Any
from uuid import UUID

from governance.kernel.identifiers import uuid7

#: A CTE for a statement that has a CTE ``locked``; ``ledger`` is its JSON. The unique key makes a cycle's entries idempotent. A quantity that
#: the writer doesn't know is what the cycle has delivered, requeued deliveries aside.
LEDGER_CTE = """ledger AS (
    INSERT INTO orbit_valueledgerentry (id, cycle_id, namespace, profile_id, run_profile_id, kind, tag, quantity, unit)
    SELECT x.id, x.cycle_id, x.namespace, x.profile_id, x.run_profile_id, x.kind, x.tag, coalesce(x.quantity,
        (SELECT count(*) FROM orbit_dispatchjob j WHERE j.cycle_id = x.cycle_id AND j.status = 'delivered' AND j.requeue_of_id IS NULL)), x.unit
    FROM json_to_recordset(%(ledger)s::json) AS x(id uuid, cycle_id uuid, namespace text, profile_id text, run_profile_id text, kind text,
        tag text, quantity numeric, unit text)
    JOIN locked ON locked.id = x.cycle_id
    ON CONFLICT (cycle_id, kind, tag, unit) DO NOTHING)"""


def rows(
    *,
    cycle_id: UUID,
    namespace: str,
    profile_id: str | None,
    run_profile_id: str | None,
    tags: list[str],
    delivered: int | None,
) -> list[dict[str, Any]]:
    """Return the entries of a finished cycle: the deliveries that it made (None: counted by the statement), and one for each value tag."""
    entries = [
        ("usage", "deliveries", delivered, "delivery"),
        *(("value", tag, 1, "cycle") for tag in dict.fromkeys(tags)),
    ]
    return [
        {
            "id": str(uuid7()),
            "cycle_id": str(cycle_id),
            "namespace": namespace,
            "profile_id": profile_id,
            "run_profile_id": run_profile_id,
            "kind": kind,
            "tag": tag,
            "quantity": quantity,
            "unit": unit,
        }
        for kind, tag, quantity, unit in entries
    ]
