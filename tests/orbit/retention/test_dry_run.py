"""A dry run says exactly what the prune after it does, and changes nothing."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from orbit.models import RetentionMark
from orbit.retention import cycles, runs, sweep, ticks, unused
from tests.support import old_rows
from tests.support.old_rows import write
from tests.support.pipeline import configure_endpoints, rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})
    monkeypatch.setattr(cycles, "CYCLES", 2)
    monkeypatch.setattr(ticks, "LIMIT", 2)
    monkeypatch.setattr(unused, "LIMIT", 1)
    monkeypatch.setattr(runs, "TASKS", 3)


def everything_old() -> None:
    """Rows of each kind; some of them in several batches, some of them kept."""
    old_rows.old_cycles(5)  # they share an initiation and a snapshot
    old_rows.rerun_of_first("failed", "91 days")  # in a later batch than its family
    old_rows.old_run(children=7)
    old_rows.old_run()
    open_run = old_rows.old_run(children=2)
    write("UPDATE orbit_conductorrun SET pending = 1 WHERE id = %s", open_run.pk)
    write(
        "INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail, decided_at)"
        " SELECT gen_random_uuid(), 's' || i %% 2, i::text, now() - make_interval(days => 100 + i),"
        " 'started', '{}', now() - make_interval(days => 100 + i) FROM generate_series(0, 6) i"
    )
    write(
        "INSERT INTO orbit_skipnotice (namespace, written_at, suppressed, carried)"
        " SELECT 'n' || i, now() - interval '100 days', 0, 0 FROM generate_series(1, 5) i"
    )
    month = old_rows.old_month()
    # One cycle of that month goes, so that both tables of the month go too.
    write(
        "INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash,"
        " input, input_content_type, input_sha256, finished_at)"
        " SELECT orbit_uuid_floor(%s::timestamp AT TIME ZONE 'UTC'), namespace, 'failed', trigger,"
        " context, repeat('1', 64), input, input_content_type, input_sha256,"
        " now() - interval '95 days' FROM orbit_cyclerun LIMIT 1",
        month,
    )


def test_a_dry_run_says_exactly_what_the_prune_then_does() -> None:
    everything_old()
    before = old_rows.counts()
    would = sweep.dry_run().to_json()
    assert old_rows.counts() == before
    assert not RetentionMark.objects.exists()
    done = old_rows.prune().to_json()
    for record in (would, done):
        record.pop("finished_until")
    assert would == done
    assert done["deleted"] == {
        "cycles": 7,
        "transformations": 5,
        "normalization_batches": 5,
        "normalization_items": 5,
        "dispatch_jobs": 5,
        "dead_letters": 5,
        "initiations": 1,
        "cron_ticks": 5,
        "skip_notices": 5,
        "conductor_runs": 2,
        "conductor_tasks": 9,
        "conductor_parents": 1,
        "months_of_checkpoints": 1,
        "months_of_records": 1,
    }
    assert done["kept"] == {
        "cron_ticks": {"it is the last of its schedule": 2},
        "conductor_runs": {runs.OPEN: 1},
    }


def test_a_family_is_counted_once_though_its_cycles_are_in_several_batches() -> None:
    old_rows.old_cycles(4)
    old_rows.rerun_of_first("failed", "91 days")
    old_rows.rerun_of_first("queued", None, due=True)
    reasons = {"an active cycle refers to it": 2}
    assert sweep.dry_run().kept == {"cycles": reasons}
    done = old_rows.prune()
    assert (done.kept, done.deleted["cycles"]) == ({"cycles": reasons}, 3)


def test_the_snapshots_of_other_endpoints_go_and_that_is_foretold(settings: Any) -> None:
    old_rows.old_cycles(3)
    configure_endpoints(settings, other="http://127.0.0.1:9/")
    would = sweep.dry_run().deleted
    assert would["endpoint_snapshots"] == 1
    assert would == old_rows.prune().deleted
    assert rows("SELECT count(*) FROM orbit_endpointsnapshot") == [(0,)]


def test_the_command_prints_the_dry_run_as_json() -> None:
    old_rows.old_cycles(1)
    out = StringIO()
    call_command("prune", "--dry-run", "--json", stdout=out)
    answer = json.loads(out.getvalue())
    assert (answer["dry_run"], answer["deleted"]["cycles"]) == (True, 1)
    assert old_rows.counts()["orbit_cyclerun"] == 1


def test_a_cycle_whose_id_has_no_time_stops_no_dry_run() -> None:
    old_rows.old_cycles(1)
    write(
        "INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash,"
        " input, input_content_type, input_sha256, finished_at)"
        " SELECT 'ffffffff-ffff-4fff-8fff-ffffffffffff', namespace, 'failed', trigger,"
        " context, repeat('1', 64), input, input_content_type, input_sha256,"
        " now() - interval '95 days' FROM orbit_cyclerun LIMIT 1"
    )
    assert sweep.dry_run().to_json()["deleted"]["cycles"] == 2
    assert old_rows.prune().deleted["cycles"] == 2
