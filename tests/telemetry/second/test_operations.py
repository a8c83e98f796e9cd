"""While telemetry's own database is away, operation runs that need it say so and wait."""

import pytest
from django.db import connections
from django.db.models.functions import Now
from django_q.models import Task

from governance.models import OperationRun
from governance.operations import ledger
from orbit import tasks
from orbit.housekeeping import ensure_partitions
from orbit_site.processes.postgres import Server
from telemetry.reconcile import run as reconcile
from telemetry.retention import sweep
from tests.support import database
from tests.support.read_only import set_read_only
from tests.telemetry.second.test_forwarder import NOWHERE, lead


def operate(type_: str) -> OperationRun:
    """Do the next slice of the active run, or of a new one."""
    run, _ = ledger.ensure_workspace_run_with_identity(type_, {}, initiator="orbit")
    OperationRun.objects.filter(pk=run.pk).update(next_due_at=Now())
    tasks.operate(str(run.pk))
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("type_", [sweep.TYPE, reconcile.TYPE, "advisory.signals"])
@pytest.mark.parametrize("trouble", ["down", "read-only", "cut off"])
def test_a_run_that_needs_it_waits_with_a_note_and_then_goes_on(
    committed: str, server: Server, type_: str, trouble: str
) -> None:
    second = database.second(committed)
    if trouble == "down":
        lead(NOWHERE)
    elif trouble == "read-only":
        set_read_only(server, second, on=True)
    else:
        # An old connection that is of no more use is no trouble.
        connections["telemetry"].ensure_connection()
        set_read_only(server, second, on=False)
    run = operate(type_)
    if trouble == "cut off":
        assert "note" not in run.progress
    else:
        assert (run.status, run.faults) == ("running", 0)
        assert run.progress["note"].startswith("waiting for telemetry's database: ")
        assert run.next_due_at is not None
    set_read_only(server, second, on=False)
    lead(server.host)
    while run.outcome is None:
        run = operate(type_)
        assert "note" not in run.progress
    assert run.outcome in ("succeeded", "skipped")
    assert not Task.objects.exists()


def test_partitions_of_the_main_database_are_made_without_it(
    committed: str, server: Server
) -> None:
    lead(NOWHERE)
    run = operate(ensure_partitions.TYPE)
    lead(server.host)
    assert run.outcome == "partially_succeeded"
    assert run.progress["note"].startswith("Telemetry's database wasn't looked at: ")
    assert run.summary_counts["succeeded"] == run.summary_counts["total"] > 0
