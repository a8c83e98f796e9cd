"""Under a halt or a pause: closing what lost workers left open, and telling when nothing is in flight any more.

Who dies under a halt leaves attempts that nobody may resume; the keeper closes them as ``unknown``, under the fence, as whoever resumes
would. Once no attempt is open and no worker holds a cycle, the stop is quiet, and keeps its certificate: the command, the last delivery
that started, what was in flight then and how each of it ended. Two keepers that do it at once do it once.
"""

import json
import logging
from datetime import datetime
from typing import Any

from django.db import connection

from governance.namespaces import halts, stops
from orbit.cycles import advance, lease, progress
from orbit.dispatch.state import EndpointCache
from orbit.records.fence import ClaimedCycle, Fenced

logger = logging.getLogger(__name__)

#: A claim that the command has overtaken shows its attempts by then, and every process has heard of the command.
SETTLED_SECONDS = 1.0
_MOST_CYCLES, _MOST_STOPS = 20, 100
#: How many attempts a certificate names; it counts them all.
NAMED = 200

WAITING = f"""SELECT st.id, n.name, st.since, st.started_by, st.reason FROM governance_stop st LEFT JOIN governance_namespace n ON n.id = st.namespace_id
WHERE st.ended_at IS NULL AND st.kind IN ('halt', 'pause') AND st.quiet_at IS NULL AND st.since <= clock_timestamp() - {SETTLED_SECONDS} * interval '1 second'
    AND (st.until IS NULL OR st.until > clock_timestamp())
    AND NOT EXISTS (SELECT 1 FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id JOIN orbit_cyclerun c ON c.id = j.cycle_id
        WHERE r.status = 'sending' AND (st.namespace_id IS NULL OR c.namespace = n.name))
    AND NOT EXISTS (SELECT 1 FROM orbit_cyclerun c WHERE c.next_due_at IS NOT NULL AND c.lease_expires_at > clock_timestamp()
        AND (st.namespace_id IS NULL OR c.namespace = n.name))
ORDER BY st.id LIMIT %s"""
# Of the newest cycles, and those that are still due: no other can have had anything in flight.
_ATTEMPTS = """WITH cycles AS MATERIALIZED (
    (SELECT c.id, c.namespace FROM orbit_cyclerun c {of_namespace} ORDER BY c.id DESC LIMIT 200)
    UNION (SELECT c.id, c.namespace FROM orbit_cyclerun c {of_namespace_and} c.next_due_at IS NOT NULL LIMIT 1000)),
attempts AS MATERIALIZED (
    SELECT cycles.namespace, cycles.id AS cycle_id, j.id AS job_id, j.endpoint_key, r.attempt, r.status, r.status_code, r.started_at, r.finished_at
    FROM cycles JOIN orbit_dispatchjob j ON j.cycle_id = cycles.id JOIN orbit_deliveryreceipt r ON r.job_id = j.id),
flying AS (SELECT * FROM attempts WHERE started_at > %(since)s OR finished_at > %(since)s)
SELECT clock_timestamp(), (SELECT max(started_at) FROM attempts WHERE status <> 'unsent'), (SELECT count(*) FROM flying),
    (SELECT count(*) FROM flying WHERE started_at > %(since)s AND status <> 'unsent'),
    (SELECT json_agg(f ORDER BY f.started_at, f.job_id) FROM (SELECT * FROM flying ORDER BY started_at, job_id LIMIT %(named)s) AS f)"""
OF_ONE = _ATTEMPTS.format(
    of_namespace="WHERE c.namespace = %(namespace)s",
    of_namespace_and="WHERE c.namespace = %(namespace)s AND",
)
OF_ALL = _ATTEMPTS.format(of_namespace="", of_namespace_and="WHERE")


def close_abandoned() -> int:
    """Close the attempts that lost workers left open where nobody may resume; return of how many cycles."""
    cycles = lease.claim_stopped(_MOST_CYCLES)
    for cycle in cycles:
        try:
            _close_abandoned(cycle)
        except Fenced:
            logger.info("cycle %s is another's by now", cycle.id)
    return len(cycles)


def _close_abandoned(cycle: ClaimedCycle) -> None:
    advance.close_abandoned(progress.load(cycle, EndpointCache()))
    # Where that ended the cycle there is no lease left to give back.
    lease.give_back([cycle], wait=0.0)


def certify() -> int:
    """Give each halt and pause under which nothing is in flight its certificate; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [_MOST_STOPS])
        waiting = cursor.fetchall()
    for stop_id, namespace, since, by, reason in waiting:
        at, certificate = _certificate(namespace, since)
        halts.quieted(
            stop_id,
            at=at,
            certificate=json.dumps({"by": by, "reason": reason or "none given", **certificate}),
        )
    return len(waiting)


def _certificate(namespace: str | None, since: datetime) -> tuple[datetime, dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            OF_ALL if namespace is None else OF_ONE,
            {"namespace": namespace, "since": since, "named": NAMED},
        )
        at, last, number, after, flying = cursor.fetchone()
    return at, {
        "commanded_at": stops.plain(since),
        "last_delivery_started_at": stops.plain(last),
        "started_after_command": after,
        "in_flight": [
            _attempt(one)
            for one in (json.loads(flying) if isinstance(flying, str) else flying) or []
        ],
        "in_flight_count": number,
        "quiet_at": stops.plain(at),
    }


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "namespace": row["namespace"],
        "cycle_run_id": row["cycle_id"],
        "dispatch_job_id": row["job_id"],
        "endpoint_key": row["endpoint_key"],
        "attempt": row["attempt"],
        "started_at": stops.plain(datetime.fromisoformat(row["started_at"])),
        "ended_at": stops.plain(datetime.fromisoformat(row["finished_at"]))
        if row["finished_at"]
        else None,
        "outcome": row["status"],
        "status_code": row["status_code"],
    }
