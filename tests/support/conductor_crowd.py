"""Hundreds of thousands of conductor tasks: a long history and backlog, and two large runs."""

from typing import Any

from psycopg import Connection

from orbit.models import ConductorRun
from tests.support import large_database

#: Children of each of the two large runs.
CHILDREN = 100_000
#: Runs that ended, each of a parent and 19 children.
ENDED = 5_000
#: Runs of one task that waits; of nine in ten, for a fan-out.
WAITING = 5_000
#: Waiting tallies of each large run.
TALLIES = 5_000
TABLES = (
    "orbit_conductorrun",
    "orbit_conductortask",
    "orbit_conductorparent",
    "orbit_conductortally",
)

# Hexadecimal digits are digits of a ULID.
_ULID = """CREATE FUNCTION pg_temp.ulid(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT '01K' || lpad(upper(to_hex(number)), 23, '0') $$"""
_STATEMENTS = (
    """INSERT INTO governance_namespace (name, external_id, created_at)
    SELECT 'n' || i, gen_random_uuid(), now() FROM generate_series(0, 199) AS i""",
    """CREATE TEMPORARY TABLE ended AS
    SELECT i AS number, pg_temp.ulid(i * 20) AS id, 'n' || i % 100 AS namespace,
        CASE WHEN i % 50 = 0 THEN 'FAILED' WHEN i % 51 = 0 THEN 'CANCELLED' ELSE 'SUCCEEDED' END
            AS state, now() - (%(ended)s - i) * interval '1 min' AS at
    FROM generate_series(1, %(ended)s) AS i""",
    """CREATE TEMPORARY TABLE large AS
    SELECT number, %(ended)s + 1 + number * %(children)s::bigint AS number_in_ids,
        'n' || number AS namespace, now() AS at
    FROM generate_series(1, 2) AS number""",
    "ALTER TABLE large ADD id text",
    "UPDATE large SET id = pg_temp.ulid(number_in_ids * 20)",
    """INSERT INTO orbit_conductorrun (id, name, namespace, state, created_by, open_roots,
        created_at, started_at, finished_at)
    SELECT id, 'r' || number, namespace, state, 'u', 0, at, at, at FROM ended
    UNION ALL SELECT id, 'large', namespace, 'RUNNING', 'u', 1, at, at, NULL FROM large""",
    """INSERT INTO orbit_conductorrun (id, name, namespace, state, created_by, open_roots)
    SELECT pg_temp.ulid((%(children)s::bigint * 4 + i) * 20), 'w' || i, 'n' || i % 100, 'PENDING',
        'u', 1
    FROM generate_series(1, %(waiting)s) AS i""",
    # The parents, and the tasks that wait: most of them for a fan-out. Then the parents' children.
    """INSERT INTO orbit_conductortask (id, run_id, index, namespace, name, state, ready, is_parent,
        input, created_at)
    SELECT id, id, 1, namespace, name, state, is_leaf, NOT is_leaf, '{"fanout": 1}', created_at
    FROM (SELECT *, state = 'PENDING' AND name LIKE '%0' AS is_leaf FROM orbit_conductorrun)
        AS runs""",
    """INSERT INTO orbit_conductorparent (task_id, namespace, failure_policy, fanout, fanned_out,
        is_fanned_out, succeeded)
    SELECT id, namespace, 'wait_all', children, made, children = made, made
    FROM (SELECT id, namespace, 19 AS children, 19 AS made FROM ended
        UNION ALL SELECT id, namespace, %(children)s, %(children)s FROM large
        UNION ALL SELECT id, namespace, 3, 0 FROM orbit_conductortask
            WHERE is_parent AND state = 'PENDING') AS parents""",
    """INSERT INTO orbit_conductortask (id, run_id, parent_id, index, namespace, name, state, ready,
        attempt, worker, created_at, started_at, finished_at)
    SELECT pg_temp.ulid(number * 20 + i), id, id, i, namespace, 'P#' || i,
        CASE WHEN i = 7 THEN state ELSE 'SUCCEEDED' END, false, 1, 'w', at, at, at
    FROM ended, generate_series(1, 19) AS i""",
    # Of the first large run all but the last succeeded, of the second all wait. Of both, 1 in 1,000
    # failed, and some are held or lost.
    """INSERT INTO orbit_conductortask (id, run_id, parent_id, index, namespace, name, state, ready,
        attempt, lease_token, lease_expires_at, lease_seconds, worker, created_at)
    SELECT pg_temp.ulid(number_in_ids * 20 + i), id, id, i, namespace, 'P#' || i, state,
        state = 'PENDING', 1, CASE WHEN state = 'RUNNING' THEN gen_random_uuid() END,
        CASE WHEN state = 'RUNNING' THEN now() + (i / 500 % 100 - 20) * interval '1 hour' END,
        30, 'w', at
    FROM (SELECT number_in_ids, id, i, namespace, at, CASE WHEN i % 1000 = 1 THEN 'FAILED'
            WHEN i % 500 = 2 THEN 'RUNNING' WHEN number = 2 OR i > %(children)s - 100 THEN 'PENDING'
            ELSE 'SUCCEEDED' END AS state
        FROM large, generate_series(1, %(children)s) AS i) AS children""",
    """INSERT INTO orbit_conductortally (run_id, parent_id, running, succeeded)
    SELECT id, id, -1, 1 FROM large, generate_series(1, %(tallies)s) AS i""",
    """INSERT INTO orbit_conductortally (run_id, running, succeeded)
    SELECT id, -1, 1 FROM ended""",
)
_UNIQUE = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)"""


def fill(owner: "Connection[Any]") -> None:
    """Insert the runs, and analyze their tables."""
    owner.execute(large_database.DROP_FOREIGN_KEYS)
    # Building an index at the end is faster than row by row.
    uniques = owner.execute(_UNIQUE, [list(TABLES)]).fetchall()
    for table, name, _ in uniques:
        owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = owner.execute(large_database.INDEXES, [list(TABLES)]).fetchall()
    owner.execute("DROP INDEX " + ", ".join(name for name, _ in indexes))
    owner.execute(_ULID)
    numbers = {
        "children": CHILDREN,
        "ended": ENDED,
        "waiting": WAITING,
        "tallies": TALLIES,
    }
    for statement in _STATEMENTS:
        for name, number in numbers.items():
            statement = statement.replace(f"%({name})s", str(number))
        owner.execute(statement)
    for table, name, definition in uniques:
        owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        owner.execute(definition)
    owner.execute("VACUUM (ANALYZE) " + ", ".join(TABLES))


def large_runs() -> tuple[str, str]:
    """Return the ids of the large runs: the one that is nearly done, the one that has begun."""
    done, begun = ConductorRun.objects.filter(name="large").order_by("id")
    return done.pk, begun.pk
