"""The CPU time of a claim as the backlog grows, whatever is halted: ``make bench claim``.

``python -m benchmarks.claim COUNT`` measures one backlog in Orbit's environment and prints JSON.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import django
import psycopg

from benchmarks.meters import cpu_seconds
from benchmarks.testbed import Testbed

NAMESPACES = 10_000
CLAIMS, LIMIT = 100, 8  # fewer than the least backlog
ROUNDS = 5
# So many are claimed, without a vacuum and beside an old transaction, in the last case.
CLAIMED = 100_000
OPEN = "zz-open"  # claims find it last
ADD_NAMESPACES = f"""WITH created AS (
    INSERT INTO governance_namespace (name, external_id)
    SELECT name, gen_random_uuid()
    FROM (SELECT 'due-' || i AS name FROM generate_series(1, {NAMESPACES - 1}) AS i
        UNION ALL SELECT '{OPEN}') AS names
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM created"""
ADD_CYCLES = """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context,
    initiation_hash, input, input_content_type, input_sha256, finished_at, next_due_at)
SELECT gen_random_uuid(), {namespace}, 'success', 'rest', '{{}}', repeat('0', 64), '', 'text/plain',
    repeat('0', 64), due.at, due.at   -- it is due again from when it was finished
FROM generate_series(1, {count}) AS i,
    LATERAL (SELECT now() - {age} + i * interval '1 us' AS at) AS due"""
AGAIN = """UPDATE orbit_cyclerun
SET lease_owner = NULL, lease_expires_at = NULL, next_due_at = finished_at
WHERE lease_owner IS NOT NULL"""
HALT = """UPDATE governance_governancesetting s
SET halt = {condition}, mode = CASE WHEN {condition} THEN 'quiet' ELSE 'running' END
FROM governance_namespace n WHERE n.id = s.namespace_id"""
SUSPECT = """UPDATE orbit_cyclerun SET resumes = 3 WHERE id IN (
    SELECT id FROM orbit_cyclerun WHERE namespace <> %s ORDER BY next_due_at LIMIT %s)"""
CLAIM_MANY = """UPDATE orbit_cyclerun SET next_due_at = now() + interval '1 day' WHERE id IN (
    SELECT id FROM orbit_cyclerun WHERE next_due_at <= now() AND resumes = 0
    ORDER BY next_due_at, id LIMIT %s)"""
HALTED = {
    "none halted": "false",
    "every second namespace halted": "n.id % 2 = 0",
    f"all but one of {NAMESPACES:,} halted": f"n.name <> '{OPEN}'",
}


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds of PostgreSQL's CPU time for a claim, by case and backlog."""

    sizes: list[int]
    cases: dict[str, list[float]]

    def ratio(self, case: str) -> float:
        """The slowest by the fastest backlog."""
        return max(self.cases[case]) / min(self.cases[case])


def measure(testbed: Testbed, *, most: int) -> Result:
    """Measure from 1,000 due cycles to ``most``."""
    sizes = [size for size in (1_000, 100_000, 1_000_000) if size < most] + [most]
    cases: dict[str, list[float]] = {}
    for size in sizes:
        done = testbed.measured("claim", str(size))
        for case, took in done.items():
            cases.setdefault(case, []).append(took)
    return Result(sizes, cases)


def main() -> None:
    django.setup()
    from django.db import connection, connections

    from orbit_site.processes.supervisor import BY_INDEX

    options = connections.settings["default"]["OPTIONS"]
    options["options"] += BY_INDEX + " -c synchronous_commit=off"
    count = int(sys.argv[1])
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute("TRUNCATE orbit_cyclerun CASCADE")
        owner.execute(ADD_NAMESPACES)
        _add(owner, f"'due-' || 1 + i % {NAMESPACES - 1}", "interval '1 hour'", count)
        _add(owner, f"'{OPEN}'", "interval '1 minute'", 1_000)
        owner.execute("VACUUM ANALYZE orbit_cyclerun")
        took = {}
        for case, condition in HALTED.items():
            _halt(owner, condition)
            took[case] = _milliseconds(owner)
        _halt(owner, "false")
        owner.execute(SUSPECT, [OPEN, count // 10])
        owner.execute("VACUUM orbit_cyclerun")
        took["a tenth suspected, in front"] = _milliseconds(owner)
        owner.execute("UPDATE orbit_cyclerun SET resumes = 0 WHERE resumes > 0")
        owner.execute("VACUUM orbit_cyclerun")
        with _old_transaction():
            owner.execute(CLAIM_MANY, [min(CLAIMED, count // 2)])
            took["beside an old transaction, after many claims"] = _milliseconds(owner)
    connection.close()
    print(json.dumps(took))


def _milliseconds(owner: "psycopg.Connection[Any]") -> float:
    """Return the server's CPU time for a claim. Wall time would measure a busy machine."""
    from django.db import connection

    from orbit.cycles import lease
    from orbit.cycles.cursor import Cursor

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    used = 0.0
    for _ in range(ROUNDS):
        position, before = Cursor(), cpu_seconds(pid)
        for _ in range(CLAIMS):
            if not lease.claim(LIMIT, cursor=position):
                raise RuntimeError("no cycle was found")
        used += cpu_seconds(pid) - before
        owner.execute(AGAIN)
    return used * 1000 / (ROUNDS * CLAIMS)


def _add(owner: "psycopg.Connection[Any]", namespace: str, age: str, count: int) -> None:
    owner.execute(ADD_CYCLES.format(namespace=namespace, age=age, count=count).encode())


def _halt(owner: "psycopg.Connection[Any]", condition: str) -> None:
    owner.execute(HALT.format(condition=condition).encode())
    owner.execute("VACUUM governance_governancesetting")


@contextmanager
def _old_transaction() -> Iterator[None]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1 FROM orbit_cyclerun LIMIT 1")
        yield


if __name__ == "__main__":
    main()
