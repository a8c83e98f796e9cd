"""Real clusters and their schedules: missed ticks, and cycles that queue for a namespace."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from django_q.models import Schedule as Row

from governance.access.actors import SYSTEM
from orbit.cycles import orchestrate
from orbit.models import CronTick, CycleRun
from orbit.schedules import explain
from orbit.states import Trigger
from orbit_site.processes.postgres import Server
from tests.support.clusters import cluster, endpoint
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.receiver import Receiver

pytestmark = pytest.mark.processes


def ended(cycle_id: UUID) -> bool:
    return CycleRun.objects.filter(pk=cycle_id, finished_at__isnull=False).exists()


def test_ticks_missed_while_the_cluster_was_stopped_are_recorded_and_caught_up_once(
    server: Server, committed: str, tmp_path: Path
) -> None:
    name = "run-profile:r1"
    with Receiver() as sink, cluster(server, committed, tmp_path, **endpoint(sink.url)) as running:
        running.ready()
        store_profiles(
            [profile()],
            [run_profile("r1", execution_policy={"cron": "*/5 * * * *", "max_lateness": 600})],
        )
        until(
            lambda: Row.objects.filter(name=name, next_run__isnull=False).exists(),
            "the schedule did not follow the run profile",
        )
        running.stop()
        assert running.code() == 0
    ((first_due,),) = rows(
        "UPDATE django_q_schedule SET next_run ="
        " date_bin('5 minutes', now() - interval '32 minutes', to_timestamp(0))"
        " WHERE name = %s RETURNING next_run",
        name,
    )
    with Receiver() as sink, cluster(server, committed, tmp_path, **endpoint(sink.url)):
        until(
            lambda: CronTick.objects.filter(schedule=name, outcome="started").exists(),
            "no catch-up was started",
        )
        until(
            lambda: ended(CycleRun.objects.get(run_profile_id="r1").pk),
            "the cycle of the catch-up did not end",
        )
    ticks = list(CronTick.objects.filter(schedule=name).order_by("due_at"))
    assert [tick.due_at for tick in ticks] == [
        first_due + timedelta(minutes=5 * number) for number in range(len(ticks))
    ]
    assert [tick.outcome for tick in ticks] in (
        ["missed"] * (len(ticks) - 1) + ["started"],
        ["missed"] * (len(ticks) - 2) + ["started", "skipped"],
    )
    assert len(ticks) >= 7
    assert next(tick for tick in ticks if tick.outcome == "started").detail["catch_up"] is True
    assert {tick.detail["no_cluster_from"] for tick in ticks if tick.outcome == "missed"} == {
        first_due.isoformat()
    }
    rows("UPDATE orbit_runprofilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    assert "no cluster was alive from" in explain.explain("r1", first_due, actor=SYSTEM).sentence


def test_run_profiles_that_share_a_namespace_run_one_after_another_on_a_real_cluster(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with Receiver() as sink, cluster(server, committed, tmp_path, **endpoint(sink.url)) as running:
        running.ready()
        store_profiles(
            [profile()],
            [run_profile(f"r{number}", namespace=f"n{number % 2}") for number in range(8)],
        )
        results = orchestrate.all_enabled(source=Trigger.COMMAND, actor=SYSTEM)
        assert orchestrate.counts(results) == {"started": 2, "queued": 6}
        until(
            lambda: CycleRun.objects.filter(status="success").count() == 8,
            "not all cycles ended",
        )
    for namespace in ("n0", "n1"):
        cycles = list(CycleRun.objects.filter(namespace=namespace).order_by("id"))
        assert all(before.finished_at <= after.started_at for before, after in pairwise(cycles))
