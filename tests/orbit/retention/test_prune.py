"""What finished long ago goes with all that is its own, and what is referred to stays."""

import json
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.models import AuditTrailEntry, OperationRun
from orbit.cycles.rerun import single
from orbit.dispatch import dead_letters
from orbit.models import ConductorRun, ConductorTask, CronTick, CycleRun
from orbit.retention import exemptions, months, runs, sweep, unused
from orbit.retention.exemptions import Referred
from orbit.retention.sweep import Sweep
from orbit.states import Trigger
from tests.support.dead_letters import create_dead_letters
from tests.support.old_rows import (
    OWN_TABLES,
    counts,
    make_old,
    old_cycles,
    old_month,
    old_run,
    prune,
    rerun_of_first,
    write,
)
from tests.support.pipeline import configure_endpoints, rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _endpoint(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})


def test_an_old_cycle_goes_with_all_that_is_its_own() -> None:
    old_cycles(3)
    done = prune()
    after = counts()
    assert {table: after[table] for table in OWN_TABLES} == dict.fromkeys(OWN_TABLES, 0)
    assert done.deleted["cycles"] == done.deleted["dispatch_jobs"] == 3
    assert rows(
        "SELECT count(*) FROM orbit_initiation WHERE initiation_hash = repeat('0', 64)"
    ) == [(0,)]
    # The months of these cycles aren't over.
    assert rows("SELECT count(*) FROM orbit_cyclecheckpoint")[0][0] >= 18


def test_a_cycle_that_finished_lately_stays() -> None:
    old_cycles(2, days=89)
    assert prune().total == 0
    assert CycleRun.objects.count() == 2


def test_a_cycle_with_an_open_dead_letter_stays_until_it_is_resolved() -> None:
    (letter,) = create_dead_letters(1)
    make_old()
    assert prune().kept["cycles"] == {"it has an open dead letter": 1}
    assert CycleRun.objects.count() == 1
    dead_letters.dismiss(letter, actor=SYSTEM, reason="test")
    assert prune().deleted["cycles"] == 1


def test_a_cycle_stays_while_its_rerun_is_active() -> None:
    old_cycles(1)
    first = CycleRun.objects.get()
    rerun_of_first("queued", None, due=True)
    assert prune().kept["cycles"] == {"an active cycle refers to it": 1}
    CycleRun.objects.filter(rerun_of=first).update(
        status="cancelled", finished_at=first.finished_at, next_due_at=None
    )
    assert prune().deleted["cycles"] == 2


def test_what_a_registered_exemption_refers_to_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    old_cycles(2)
    CycleRun.objects.update(profile_id="p1")
    ((since, until),) = rows("SELECT now() - interval '1 day', now() + interval '1 day'")
    monkeypatch.setattr(exemptions, "referred", lambda: [Referred("p1", None, since, until)])
    assert prune().kept["cycles"] == {"a pending proposal refers to it": 2}
    assert CycleRun.objects.count() == 2


def test_more_cycles_than_a_batch_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orbit.retention.cycles.CYCLES", 2)
    old_cycles(5)
    create_dead_letters(1)
    done = prune()
    assert done.deleted["cycles"] == 5
    assert CycleRun.objects.count() == 1


def test_a_cycle_with_open_deliveries_stays() -> None:
    old_cycles(2)
    first = CycleRun.objects.order_by("id").values_list("id", flat=True)[0]
    write("UPDATE orbit_cyclerun SET next_due_at = now() WHERE id = %s", first)
    done = prune()
    assert (done.kept["cycles"], done.deleted["cycles"]) == ({"its deliveries are open": 1}, 1)


def test_what_was_left_without_a_use_goes_with_the_next_prune() -> None:
    old = "orbit_uuid_floor(now() - interval '99 days')"
    write(
        f"INSERT INTO orbit_initiation (id, initiation_hash, namespace) VALUES ({old}, 'x', 'a'),"
        " (gen_random_uuid(), 'y', 'a')"
    )
    # A random id may be of any time; this one isn't old.
    write("UPDATE orbit_initiation SET id = orbit_uuid_floor(now()) WHERE initiation_hash = 'y'")
    assert prune().deleted == {"initiations": 1}
    assert rows("SELECT initiation_hash FROM orbit_initiation") == [("y",)]
    assert unused.prune_left(Sweep().until, unused.START).after is None


def test_the_lag_counts_from_what_was_not_looked_at() -> None:
    create_dead_letters(1)
    make_old(days=91)
    assert 86_000 < sweep.lag_seconds() < 2 * 86_400
    prune()
    assert CycleRun.objects.count() == 1
    assert sweep.lag_seconds() == 0


def test_the_command_leaves_its_record_and_an_audit_entry() -> None:
    old_cycles(2)
    out = StringIO()
    call_command("prune", "--json", stdout=out)
    answer = json.loads(out.getvalue())
    run = OperationRun.objects.get(type="ops.prune")
    assert answer["deleted"]["cycles"] == 2
    assert run.outcome == "succeeded"
    assert run.progress["record"]["deleted"] == answer["deleted"]
    entry = AuditTrailEntry.objects.get(action=str(Action.PRUNED))
    assert entry.object_id == str(run.pk)


def test_a_run_goes_in_batches_and_cannot_run_again_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "TASKS", 3)
    old_run(children=7)
    first = runs.prune_runs(Sweep().until, runs.START)
    assert first.deleted["conductor_tasks"] == 3
    assert ConductorRun.objects.get().pruning_since is not None
    done = prune()
    assert done.deleted["conductor_runs"] == 1
    assert ConductorTask.objects.count() == 0
    assert not ConductorRun.objects.exists()


@pytest.mark.parametrize(
    "change", ["pending = 1", "running = 1", "retrying = 1", "is_cancelling = true"]
)
def test_a_run_with_open_tasks_stays(change: str) -> None:
    run = old_run(children=2)
    write(f"UPDATE orbit_conductorrun SET {change} WHERE id = %s", run.pk)
    assert prune().kept["conductor_runs"] == {runs.OPEN: 1}
    assert ConductorTask.objects.count() == 3


def test_a_run_whose_tasks_are_not_all_counted_stays() -> None:
    run = old_run(children=2)
    write("INSERT INTO orbit_conductortally (run_id) VALUES (%s)", run.pk)
    assert prune().kept["conductor_runs"] == {runs.OPEN: 1}
    write("DELETE FROM orbit_conductortally")
    assert prune().deleted["conductor_runs"] == 1


def test_a_run_that_finished_lately_stays() -> None:
    old_run(days=89)
    assert prune().total == 0


def test_the_last_tick_of_a_schedule_stays() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail,"
            " decided_at)"
            " SELECT gen_random_uuid(), 's', i::text, now() - make_interval(days => 100 + i),"
            " 'started', '{}', now() - make_interval(days => 100 + i) FROM generate_series(0, 3) i"
        )
    assert prune().deleted["cron_ticks"] == 3
    assert CronTick.objects.get().tick_key == "0"


def test_a_month_without_cycles_is_dropped() -> None:
    month = old_month()
    done = prune()
    assert done.deleted["months_of_checkpoints"] >= 1
    assert done.deleted["months_of_records"] >= 1
    assert rows("SELECT to_regclass(%s)", f"orbit_recordgroup_p{month:%Y%m}") == [(None,)]


def test_a_month_stays_while_one_of_its_cycles_is_kept() -> None:
    month = old_month()
    create_dead_letters(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash,"
            " input, input_content_type, input_sha256, finished_at)"
            " SELECT orbit_uuid_floor(%s::timestamp AT TIME ZONE 'UTC'), namespace, status,"
            " trigger, context, initiation_hash, input, input_content_type, input_sha256, now()"
            " FROM orbit_cyclerun",
            [month],
        )
    assert prune().kept["months"][months.KEPT] == 2
    with pytest.raises(Exception, match="are kept") as refused:
        months.DROP_MONTH.one(parent="orbit_recordgroup", month=month)
    assert isinstance(refused.value.__cause__, psycopg.errors.RaiseException)


def test_plain_deletes_of_records_are_still_refused() -> None:
    create_dead_letters(1)
    with pytest.raises(Exception, match=r"append-only|permission denied"):
        rows("DELETE FROM orbit_cyclecheckpoint RETURNING 1")


def test_a_rerun_of_a_pruned_cycle_is_refused_as_unknown() -> None:
    old_cycles(1)
    cycle = CycleRun.objects.get()
    prune()
    with pytest.raises(Exception, match="There is no cycle"):
        single.start(cycle.pk, actor=SYSTEM, reason="test", source=Trigger.COMMAND)


def test_each_foreign_key_to_what_is_deleted_has_an_index() -> None:
    tables = [*OWN_TABLES, "orbit_initiation", "orbit_endpointsnapshot"]
    tables += ["orbit_conductorrun", "orbit_conductortask", "orbit_conductorparent"]
    # Without one, each deleted row makes the check of the key read a table from end to end.
    assert (
        rows(
            "SELECT f.conrelid::regclass::text, f.conname FROM pg_constraint f"
            " WHERE f.contype = 'f' AND f.confrelid = ANY(%s::regclass[]) AND NOT EXISTS ("
            "  SELECT 1 FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indisvalid"
            # Of a key of two columns the last one says the most.
            "  AND i.indkey[0] = f.conkey[cardinality(f.conkey)])",
            tables,
        )
        == []
    )
