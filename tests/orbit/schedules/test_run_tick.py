"""What a tick starts, and what the ledger says of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from governance.kernel.identifiers import uuid7
from governance.models import GovernanceSetting
from orbit.models import ClusterNode, CronTick, CycleRun, RunProfile
from orbit.schedules import run_tick
from orbit.schedules.rows import CYCLES, OF_RUN_PROFILE, RUN_PROFILES
from tests.orbit.schedules.test_cron import NOON
from tests.orbit.schedules.test_ledger import side_by_side
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows


def tick(schedule: str = CYCLES, **detail: Any) -> UUID:
    cron_tick = CronTick.objects.create(
        id=uuid7(), schedule=schedule, tick_key="k", due_at=NOON, outcome="due", detail=detail
    )
    return cron_tick.id


def verdict() -> tuple[str, dict[str, Any]]:
    cron_tick = CronTick.objects.get()
    return cron_tick.outcome, cron_tick.detail


@pytest.mark.django_db
def test_without_run_profiles_the_tick_starts_one_raw_cycle_in_default_once() -> None:
    cron_tick = tick(missed=3)  # what the ledger has noted stays
    for _ in range(3):
        run_tick.run(cron_tick)
    cycle = CycleRun.objects.get()
    assert (cycle.namespace_id, cycle.trigger, cycle.run_profile_id) == ("default", "cron", None)
    assert verdict() == ("started", {"missed": 3, "cycle_run_id": str(cycle.id)})
    assert CronTick.objects.get().decided_at is not None


@pytest.mark.django_db
def test_with_an_active_cycle_the_tick_is_skipped_and_says_which() -> None:
    active = active_cycle()
    run_tick.run(tick())
    outcome, detail = verdict()
    assert (outcome, detail["code"], detail["active_cycle_run_id"]) == (
        "skipped",
        "cycle_active",
        str(active.id),
    )


@pytest.mark.django_db
def test_a_paused_process_refuses_the_tick(settings: Any) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    run_tick.run(tick())
    outcome, detail = verdict()
    assert (outcome, detail["code"]) == ("refused", "globally_paused")
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_with_run_profiles_the_tick_starts_each_that_has_no_cron_of_its_own() -> None:
    store_profiles(
        [profile("p")],
        [
            run_profile("a", "p", "a"),
            run_profile("b", "p", "b"),
            run_profile("c", "p", "c", execution_policy={"cron": "0 0 * * *"}),
        ],
    )
    active_cycle("b")
    run_tick.run(tick())
    outcome, detail = verdict()
    assert outcome == "started"
    assert [(result["run_profile_id"], result["outcome"]) for result in detail["results"]] == [
        ("a", "started"),
        ("b", "skipped"),
    ]
    assert CycleRun.objects.filter(trigger="cron").count() == 1


@pytest.mark.django_db
def test_a_tick_whose_time_is_over_is_late_and_starts_nothing() -> None:
    cron_tick = tick(expires_at=(NOON + timedelta(hours=1)).isoformat())
    run_tick.run(cron_tick, now=NOON + timedelta(hours=1, seconds=1))
    assert verdict()[0] == "late"
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_a_tick_of_a_schedule_that_only_a_newer_release_knows_is_left_to_it() -> None:
    run_tick.run(tick("from-the-future"))
    assert verdict()[0] == "due"


def test_a_tick_that_two_workers_perform_at_once_starts_one_cycle(committed: str) -> None:
    cron_tick = tick()
    side_by_side(4, lambda: run_tick.run(cron_tick))
    assert CycleRun.objects.count() == 1
    assert verdict()[0] == "started"
    assert not rows("SELECT 1 FROM orbit_executionrecord WHERE event = 'cycle_skipped'")


@pytest.mark.django_db
def test_while_run_profiles_have_a_tick_of_their_own_that_of_the_cycles_starts_a_raw_one(
    settings: Any,
) -> None:
    settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE = "0 * * * *"
    store_profiles([profile()], [run_profile("a")])
    run_tick.run(tick())
    assert CycleRun.objects.get().run_profile_id is None


@pytest.mark.django_db
def test_the_tick_of_the_run_profiles_starts_one_per_namespace_and_queues_the_others() -> None:
    store_profiles(
        [profile()],
        [
            run_profile("a"),
            run_profile("b"),
            run_profile("own", namespace="us", execution_policy={"cron": "0 0 * * *"}),
        ],
    )
    run_tick.run(tick(RUN_PROFILES))
    outcome, detail = verdict()
    assert (outcome, detail["outcomes"]) == ("started", {"started": 1, "queued": 1})


@pytest.mark.django_db
def test_the_tick_of_the_run_profiles_is_skipped_where_there_are_none() -> None:
    run_tick.run(tick(RUN_PROFILES))
    assert verdict()[0] == "skipped"
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_the_tick_of_one_run_profile_starts_it() -> None:
    store_profiles([profile()], [run_profile("own", execution_policy={"cron": "0 0 * * *"})])
    run_tick.run(tick(f"{OF_RUN_PROFILE}own"))
    cycle = CycleRun.objects.get()
    outcome, detail = verdict()
    assert (outcome, cycle.run_profile_id, cycle.trigger) == ("started", "own", "cron")
    assert detail["results"] == [
        {"run_profile_id": "own", "outcome": "started", "cycle_run_id": str(cycle.pk)}
    ]


@pytest.mark.django_db
def test_a_tick_under_a_halt_is_refused_and_says_by_whom() -> None:
    store_profiles([profile()], [run_profile("own")])
    GovernanceSetting.objects.filter(namespace__name="eu").update(
        halt=True, mode="quiet", reason="flood", changed_by="ann"
    )
    run_tick.run(tick(f"{OF_RUN_PROFILE}own"))
    outcome, detail = verdict()
    assert outcome == "refused"
    assert "by ann: flood" in detail["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(("hidden", "code"), [(True, "unknown_run_profile"), (False, None)])
def test_a_tick_of_a_run_profile_that_is_gone_or_disabled_meanwhile_is_refused(
    hidden: bool, code: str | None
) -> None:
    store_profiles([profile()], [run_profile("own", state="disabled")])
    RunProfile.objects.update(hidden=hidden)
    run_tick.run(tick(f"{OF_RUN_PROFILE}own"))
    outcome, detail = verdict()
    assert (outcome, detail.get("code")) == ("refused", code)
    assert detail["detail"]


@pytest.mark.django_db
def test_of_many_results_the_first_are_complete_and_the_other_refusals_are_named() -> None:
    store_profiles(
        [profile()],
        [
            run_profile(f"r{number:03d}", namespace="busy" if number % 2 else f"n{number}")
            for number in range(240)
        ],
    )
    active_cycle("busy")
    run_tick.run(tick(RUN_PROFILES))
    _, detail = verdict()
    assert len(detail["results"]) == 100
    assert detail["outcomes"] == {"started": 120, "skipped": 120}
    assert (list(detail["others"]), len(detail["others"]["skipped"])) == (["skipped"], 70)


@pytest.mark.django_db
def test_a_tick_waits_for_a_cluster_that_is_not_paused_where_there_is_one(settings: Any) -> None:
    due = tick()
    ClusterNode.objects.create(id=uuid7(), host="other", pid=1, release="r", workers=2)
    settings.ORBIT_GLOBAL_PAUSE = True
    run_tick.run(due)
    assert verdict()[0] == "due"
    settings.ORBIT_GLOBAL_PAUSE = False
    run_tick.run(due)
    assert verdict()[0] == "started"
