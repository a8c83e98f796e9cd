"""The value ledger: usage and value of a cycle, metered once, when it ends."""

from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7_text

#: A CTE of fenced statements; ``rows`` makes the rows of its parameter ``ledger``.
LEDGER = sql.fragment(__name__, "ledger")


def rows(
    *,
    cycle_id: UUID,
    namespace: str,
    profile_id: str | None,
    run_profile_id: str | None,
    tags: list[str],
    delivered: int | None,
) -> list[dict[str, Any]]:
    """Return the ledger entries of a finished cycle. ``delivered`` None: count them."""
    entries = [
        ("usage", "deliveries", delivered, "delivery"),
        *(("value", tag, 1, "cycle") for tag in dict.fromkeys(tags)),
    ]
    return [
        {
            "id": uuid7_text(),
            "cycle_id": cycle_id,
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
