"""Any number of due cycles, and what a statement reads."""

import json
from typing import Any

import psycopg
from django.db import connection

from governance.kernel import sql
from governance.kernel.sql import Statement

INSERT_CYCLES = """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context,
    initiation_hash, input, input_content_type, input_sha256, finished_at, next_due_at, resumes)
SELECT gen_random_uuid(), (%(namespaces)s::text[])[i %% cardinality(%(namespaces)s::text[]) + 1],
    %(status)s, 'rest', '{}', repeat('0', 64), '', 'text/plain', repeat('0', 64),
    CASE WHEN %(status)s = 'success' THEN now() END,
    CASE WHEN %(status)s <> 'queued' THEN now() - %(age)s * interval '1 s' + i * interval '1 us'
    END,
    %(resumes)s
FROM generate_series(1, %(count)s) AS i"""
# Namespaces with their settings, as the registry makes them.
INSERT_NAMESPACES = """WITH created AS (
    INSERT INTO governance_namespace (name, external_id)
    SELECT name, gen_random_uuid() FROM unnest(%s::text[]) AS name ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM created"""
HALT = """UPDATE governance_governancesetting s SET halt = true, mode = 'quiet'
FROM governance_namespace n WHERE n.id = s.namespace_id AND n.name = ANY(%s)"""


def add_namespaces(count: int, prefix: str = "n") -> list[str]:
    """Create namespaces; return their names."""
    names = [f"{prefix}{number:05}" for number in range(count)]
    _execute(INSERT_NAMESPACES, [names])
    return names


def add_cycles(
    count: int,
    namespaces: list[str],
    *,
    age: float = 3600,
    status: str = "success",
    resumes: int = 0,
) -> None:
    """Insert cycles in turn into ``namespaces``, due since ``age`` seconds; queued ones aren't due.

    They have ended with open deliveries: a namespace has any number of those.
    """
    _execute(
        INSERT_CYCLES,
        {
            "count": count,
            "namespaces": namespaces,
            "age": age,
            "status": status,
            "resumes": resumes,
        },
    )


def halt(namespaces: list[str]) -> None:
    """Halt many namespaces, as an outside tool does."""
    _execute(HALT, [namespaces])


def pages_read(worker: "psycopg.Connection[Any]", statement: Statement, **values: Any) -> int:
    """Return how many pages ``statement`` reads; its writes are rolled back.

    Planned as a worker plans: without a look at the values.
    """
    text, names = sql._numbered(statement.text)
    types = f"({', '.join(statement.params[name] for name in names)})" if names else ""
    literals = [psycopg.sql.Literal(values[name]) for name in names]
    given = psycopg.sql.SQL("({})").format(psycopg.sql.SQL(", ").join(literals)) if names else ""
    with worker.transaction(force_rollback=True):
        worker.execute(f"PREPARE read{types} AS {text}".encode())
        query = psycopg.sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE read{}").format(
            given or psycopg.sql.SQL("")
        )
        (document,) = worker.execute(query).fetchone() or (None,)
        worker.execute("DEALLOCATE read")
    plan = (json.loads(document) if isinstance(document, str) else document)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _execute(query: str, values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
