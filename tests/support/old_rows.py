"""Rows that finished long ago, and prunes of them in this process."""

from datetime import date

from django.db import connection

from orbit.models import ConductorParent, ConductorRun, ConductorTask
from orbit.retention.sweep import Sweep
from tests.support.conductor_tasks import create_parent, create_run, create_tasks
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import rows

#: What goes with a cycle.
OWN_TABLES = (
    "orbit_cyclerun",
    "orbit_transformation",
    "orbit_normalizationbatch",
    "orbit_normalizationitem",
    "orbit_dispatchjob",
    "orbit_deliveryreceipt",
    "orbit_deadletterdispatch",
)
_FAILED = {"state": "FAILED", "ready": False}


def write(sql: str, *values: object) -> int:
    """Run a statement; return the number of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def make_old(days: int = 100) -> None:
    """Have all finished cycles finished so long ago, one a second, in the order of their ids."""
    write(
        "UPDATE orbit_cyclerun c SET finished_at = now() - make_interval(days => %s)"
        " + o.place * interval '1 s' FROM (SELECT id, row_number() OVER (ORDER BY id) AS place"
        " FROM orbit_cyclerun WHERE finished_at IS NOT NULL) o WHERE o.id = c.id",
        days,
    )


def old_cycles(count: int, *, namespace: str = "a", days: int = 100) -> None:
    """Create finished cycles, each with a delivery whose dead letter was dismissed."""
    letters = create_dead_letters(count, namespace=namespace)
    write("UPDATE orbit_deadletterdispatch SET status = 'dismissed' WHERE id = ANY(%s)", letters)
    make_old(days)


def make_initiation_old(days: int = 100) -> None:
    """Have the only initiation made so long ago: a prune finds it without its cycles."""
    write(
        "WITH old AS (UPDATE orbit_initiation"
        " SET id = orbit_uuid_floor(now() - make_interval(days => %s)) RETURNING id)"
        " UPDATE orbit_transformation SET initiation_id = old.id FROM old",
        days,
    )


def rerun_of_first(status: str, finished: str | None, *, due: bool = False) -> None:
    """Add a re-run of the oldest cycle that finished so long ago, as ``90 days``; None: hasn't."""
    write(
        "INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash,"
        " input, input_content_type, input_sha256, rerun_of, takeover, finished_at, next_due_at)"
        " SELECT gen_random_uuid(), namespace, %s, trigger, context, initiation_hash, input,"
        " input_content_type, input_sha256, id, '{}', now() - %s::interval,"
        " CASE WHEN %s THEN now() END FROM orbit_cyclerun ORDER BY id LIMIT 1",
        status,
        finished,
        due,
    )


def old_run(*, children: int = 0, days: int = 100, namespace: str = "default") -> ConductorRun:
    """Create a failed run: a root with failed children, or one failed root."""
    counts = {"open_roots": 0, "failed_roots": 1, "failed": children + 1}
    run = create_run(namespace, state="RUNNING", roots=1)
    if children:
        parent = create_parent(run, children, **_FAILED)
        create_tasks(run, children, parent=parent, **_FAILED)
    else:
        create_tasks(run, 1, **_FAILED)
    write("DELETE FROM orbit_conductortally WHERE run_id = %s", run.pk)
    ConductorRun.objects.filter(pk=run.pk).update(**counts)
    write(
        "UPDATE orbit_conductorrun SET state = 'FAILED', finished_at = now() -"
        " make_interval(days => %s) WHERE id = %s",
        days,
        run.pk,
    )
    run.refresh_from_db()
    return run


def old_month(days: int = 200) -> date:
    """Create the partitions of a month that is over for so long; return its first day."""
    ((month,),) = rows("SELECT date_trunc('month', now() - make_interval(days => %s))::date", days)
    rows("SELECT orbit_ensure_partitions(%s, %s)", month, month)
    assert isinstance(month, date)
    return month


def prune() -> Sweep:
    """Prune to the end."""
    sweep = Sweep()
    while sweep.advance():
        pass
    return sweep


def counts() -> dict[str, int]:
    """Return the number of rows in each table that a prune deletes from."""
    models = (ConductorRun, ConductorTask, ConductorParent)
    tables = (*OWN_TABLES, "orbit_initiation", "orbit_endpointsnapshot", "orbit_crontick")
    names = (*tables, *(model._meta.db_table for model in models))
    return {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in names}
