"""An upgrade takes over what the release before did today, under the names of this one."""

import psycopg
import pytest

from governance.models import OperationRun, PeriodicWork
from governance.operations import ledger, periodic
from governance.states import Outcome
from orbit import tasks
from orbit_site.processes.postgres import Server
from telemetry.reconcile import run as reconcile
from telemetry.retention import sweep
from tests.support import utc_day
from tests.support.backups import call

pytestmark = pytest.mark.processes

NIGHTS = """
INSERT INTO telemetry_nightlyrun (job, day, operation_run_id)
SELECT job, (now() AT TIME ZONE 'UTC')::date - ago, id
FROM unnest(ARRAY['telemetry.prune', 'telemetry.reconcile']) WITH ORDINALITY AS j(job, n),
    unnest(ARRAY[0, 1]) AS ago,
    LATERAL (SELECT CASE WHEN ago = 0 THEN %s::uuid[] END) AS today(ids),
    LATERAL (SELECT coalesce(today.ids[n], gen_random_uuid())) AS run(id)
"""


def test_nothing_that_ran_today_runs_again(server: Server, committed: str) -> None:
    utc_day.wait_for_room()
    for app, migration in (("telemetry", "0009"), ("governance", "0005")):
        code, output, errors = call(server, committed, "migrate", app, migration, "--skip-checks")
        assert code == 0, output + errors
    pruned, _ = ledger.ensure_workspace_run_with_identity("telemetry.prune", {}, initiator="orbit")
    compared, _ = ledger.ensure_workspace_run_with_identity(reconcile.TYPE, {}, initiator="ann")
    ledger.complete(compared, Outcome.SUCCEEDED, {}, progress={})
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute(NIGHTS, [[pruned.pk, compared.pk]])
    code, output, errors = call(server, committed, "migrate", "--skip-checks")
    assert code == 0, output + errors
    # It goes on under its new name, and isn't doubled.
    assert OperationRun.objects.get(pk=pruned.pk).type == sweep.TYPE
    again = ledger.ensure_workspace_run_with_identity(sweep.TYPE, {}, initiator="ann")
    assert (again[0].pk, again[1]) == (pruned.pk, False)
    assert dict(PeriodicWork.objects.values_list("type", "last_run")) == {
        sweep.TYPE: pruned.pk,
        reconcile.TYPE: compared.pk,
    }
    started = periodic.start_due(tasks.periodic_work(), wake=lambda _: None)
    types = set(OperationRun.objects.filter(pk__in=started).values_list("type", flat=True))
    assert types == {work.type for work in tasks.periodic_work()} - {sweep.TYPE, reconcile.TYPE}
