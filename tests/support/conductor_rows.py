"""Runs and tasks of the conductor, written straight into the tables."""

from typing import Any

from django.db import connection

from orbit.models import ConductorParent, ConductorRun, ConductorTask

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: A task's number -> its state, whether it is ready, and its error.
CHILDREN = """
INSERT INTO orbit_conductortask (id, run_id, parent_id, index, namespace, name, state, ready,
    attempt, worker, error, started_at, finished_at)
SELECT substr(%(parent)s, 1, 18) || lpad(upper(to_hex(i)), 8, '0'), %(run)s, %(parent)s, i,
    %(namespace)s, %(name)s || '#' || i, d.state, d.ready, 1, 'w' || i %% 7,
    CASE WHEN d.state = 'FAILED' THEN 'child ' || i || ' broke' END, now(), now()
FROM generate_series(1, %(children)s) AS i,
    LATERAL (SELECT CASE WHEN i = ANY(%(failed)s) OR i = ANY(%(retrying)s) THEN 'FAILED'
            WHEN i <= %(pending)s THEN 'PENDING' ELSE 'SUCCEEDED' END AS state,
        i = ANY(%(retrying)s) AS ready) AS d
"""


def ulid(number: int) -> str:
    """Return the ULID of a small number, in order."""
    text = ""
    for _ in range(6):
        number, digit = divmod(number, 32)
        text = _DIGITS[digit] + text
    return f"01K00000000{text}".ljust(26, "0")


def run(number: int = 1, **members: Any) -> ConductorRun:
    """Store a running run without tasks."""
    values = {
        "name": f"run {number}",
        "namespace": "eu",
        "state": "RUNNING",
        "created_by": "ann",
        "open_roots": 1,
        **members,
    }
    return ConductorRun.objects.create(id=ulid(number), **values)


def task(of: ConductorRun, number: int, **members: Any) -> ConductorTask:
    """Store a task of a run; a root unless ``parent`` is given."""
    values = {
        "index": 1,
        "name": f"task {number}",
        "state": "PENDING",
        "ready": False,
        "namespace": of.namespace,
        **members,
    }
    return ConductorTask.objects.create(id=ulid(number), run=of, **values)


def parent(
    of: ConductorRun,
    number: int,
    *,
    children: int,
    failed: tuple[int, ...] = (),
    retrying: tuple[int, ...] = (),
    pending: int = 0,
    **members: Any,
) -> ConductorTask:
    """Store a running root with its children; the first ``pending`` ones wait, others succeeded."""
    values = {"state": "RUNNING", "is_parent": True, "input": {"fanout": children}, **members}
    row = task(of, number, **values)
    with connection.cursor() as cursor:
        cursor.execute(
            CHILDREN,
            {
                "run": of.pk,
                "parent": row.pk,
                "namespace": of.namespace,
                "name": row.name,
                "children": children,
                "failed": list(failed),
                "retrying": list(retrying),
                "pending": pending,
            },
        )
    numbers = {
        "pending": pending,
        "failed": len(failed),
        "retrying": len(retrying),
        "succeeded": children - pending - len(failed) - len(retrying),
    }
    ConductorParent.objects.create(
        task=row,
        namespace=of.namespace,
        failure_policy="wait_all",
        fanout=children,
        fanned_out=children,
        is_fanned_out=True,
        **numbers,
    )
    ConductorRun.objects.filter(pk=of.pk).update(
        **numbers | {"running": 1, "started_at": row.created_at}
    )
    of.refresh_from_db()
    return row
