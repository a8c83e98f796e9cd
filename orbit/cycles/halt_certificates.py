"""Under a halt or a pause: close abandoned attempts, then certify that nothing is in flight.

If a worker dies under a halt, no other may take its cycles. So maintenance closes its attempts.
"""

import json
import logging
from datetime import datetime
from typing import Any

from governance.kernel import reasons, sql
from governance.namespaces import halts, stops
from orbit.cycles import advance, lease, progress
from orbit.dispatch.state import EndpointCache
from orbit.records.fence import ClaimedCycle, Fenced

logger = logging.getLogger(__name__)

#: Certify this long after the command. By then each process knows of it, and claims that began
#: before it have written their receipts.
SETTLED_SECONDS = 1.0
_MOST_CYCLES, _MOST_STOPS = 20, 100
#: How many attempts a certificate names. It counts all.
NAMED = 200

QUIET_STOPS = sql.load(__name__, "quiet_stops", settled_seconds=SETTLED_SECONDS)
IN_FLIGHT = sql.load(__name__, "in_flight_at_stop")


def close_abandoned() -> int:
    """Close the abandoned attempts of stopped cycles; return how many cycles."""
    cycles = lease.claim_stopped(_MOST_CYCLES)
    for cycle in cycles:
        try:
            _close_abandoned(cycle)
        except Fenced:
            logger.info("another worker has cycle %s", cycle.id)
    return len(cycles)


def _close_abandoned(cycle: ClaimedCycle) -> None:
    advance.close_abandoned(progress.load(cycle, EndpointCache()))
    # Does nothing if the cycle has ended: then its lease has, too.
    lease.give_back([cycle], wait=0.0)


def certify() -> int:
    """Certify each quiet halt and pause; return how many."""
    quiet = QUIET_STOPS.rows(most=_MOST_STOPS)
    for stop_id, namespace, since, by, reason in quiet:
        at, certificate = _certificate(namespace, since)
        document = {"by": by, "reason": reason or reasons.NO_REASON, **certificate}
        halts.mark_quiet(stop_id, at=at, certificate=json.dumps(document))
    return len(quiet)


def _certificate(namespace: str | None, since: datetime) -> tuple[datetime, dict[str, Any]]:
    ((at, last_started, count, started_after, attempts),) = IN_FLIGHT.rows(
        namespace=namespace, since=since, named=NAMED
    )
    if isinstance(attempts, str):
        attempts = json.loads(attempts)
    return at, {
        "commanded_at": stops.to_iso(since),
        "last_delivery_started_at": stops.to_iso(last_started),
        "started_after_command": started_after,
        "in_flight": [_attempt(attempt) for attempt in attempts or []],
        "in_flight_count": count,
        "quiet_at": stops.to_iso(at),
    }


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    ended = datetime.fromisoformat(row["finished_at"]) if row["finished_at"] else None
    return {
        "namespace": row["namespace"],
        "cycle_run_id": row["cycle_id"],
        "dispatch_job_id": row["job_id"],
        "endpoint_key": row["endpoint_key"],
        "attempt": row["attempt"],
        "started_at": stops.to_iso(datetime.fromisoformat(row["started_at"])),
        "ended_at": stops.to_iso(ended),
        "outcome": row["status"],
        "status_code": row["status_code"],
    }
