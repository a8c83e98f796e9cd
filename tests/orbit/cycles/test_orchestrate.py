"""Orchestration starts or queues a cycle for every enabled run profile."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM, NotAllowed
from governance.access.roles import Scope
from governance.models import AuditTrailEntry, GovernanceSetting
from orbit.cycles import orchestrate
from orbit.cycles.orchestrate import ProfileOutcome
from orbit.errors import RunProfileUnknown
from orbit.models import CycleRun, ExecutionRecord, RunProfile
from orbit.states import Trigger
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


def orchestrate_all(**actor_members: object) -> dict[str, ProfileOutcome]:
    """Orchestrate as the scheduler does; return the results by run profile."""
    results = orchestrate.all_enabled(
        source=Trigger.CRON, actor=replace(SYSTEM, **actor_members), own_cron=False
    )
    return {result.run_profile_id: result for result in results}


def outcomes(results: dict[str, ProfileOutcome]) -> dict[str, str]:
    return {name: str(result.outcome) for name, result in results.items()}


def test_each_enabled_run_profile_gets_a_cycle_of_its_own() -> None:
    store_profiles(
        [profile()], [run_profile("a", namespace="eu"), run_profile("b", namespace="us")]
    )
    results = orchestrate_all()
    assert outcomes(results) == {"a": "started", "b": "started"}
    for name, namespace in (("a", "eu"), ("b", "us")):
        cycle = CycleRun.objects.get(id=results[name].cycle_run_id)
        assert (cycle.run_profile_id, cycle.namespace_id, cycle.trigger, cycle.status) == (
            name,
            namespace,
            "cron",
            "pending",
        )


def test_disabled_hidden_and_self_scheduled_run_profiles_are_left_out() -> None:
    store_profiles(
        [profile()],
        [
            run_profile("off", state="disabled"),
            run_profile("own", execution_policy={"cron": "0 6 * * *"}),
            run_profile("hidden", namespace="us"),
            run_profile("on", namespace="jp", execution_policy={"time_zone": "Asia/Tokyo"}),
        ],
    )
    RunProfile.objects.filter(run_profile_id="hidden").update(hidden=True)
    assert list(orchestrate_all()) == ["on"]


def test_a_run_profile_that_cannot_start_says_why_and_stops_no_other() -> None:
    store_profiles(
        [profile(), profile("off", state="disabled")],
        [
            run_profile("a-off", "off"),
            run_profile("a-off-and-halted", "off", namespace="halted"),
            run_profile("b-halted", namespace="halted"),
            run_profile("c-busy", namespace="busy"),
            run_profile("d-draining", namespace="draining"),
            run_profile("z", namespace="free"),
        ],
    )
    GovernanceSetting.objects.filter(namespace__name="halted").update(
        halt=True, mode="quiet", reason="flood", changed_by="ann"
    )
    GovernanceSetting.objects.filter(namespace__name="draining").update(mode="draining")
    cycle = active_cycle("busy")
    results = orchestrate_all()
    assert outcomes(results) == {
        "a-off": "disabled",
        "a-off-and-halted": "disabled",
        "b-halted": "halted",
        "c-busy": "skipped",
        "d-draining": "halted",
        "z": "started",
    }
    assert "flood" in results["b-halted"].detail
    assert str(cycle.id) in results["c-busy"].detail
    assert results["c-busy"].cycle_run_id is None
    assert ExecutionRecord.objects.filter(event="cycle_skipped", namespace="busy").exists()


def test_in_one_namespace_the_first_starts_and_the_others_are_queued_in_order() -> None:
    store_profiles(
        [profile()],
        [run_profile("b"), run_profile("a"), run_profile("c"), run_profile("d", namespace="us")],
    )
    results = orchestrate_all()
    assert outcomes(results) == {
        "a": "started",
        "b": "queued",
        "c": "queued",
        "d": "started",
    }
    waiting = CycleRun.objects.filter(status="queued").order_by("id")
    assert [(cycle.run_profile_id, cycle.next_due_at, cycle.pk) for cycle in waiting] == [
        ("b", None, results["b"].cycle_run_id),
        ("c", None, results["c"].cycle_run_id),
    ]


def test_a_disabled_run_profile_leaves_the_start_to_the_next_one() -> None:
    store_profiles(
        [profile(), profile("off", state="disabled")],
        [run_profile("a", "off"), run_profile("b"), run_profile("c")],
    )
    assert outcomes(orchestrate_all()) == {
        "a": "disabled",
        "b": "started",
        "c": "queued",
    }


def test_a_busy_namespace_skips_all_its_run_profiles_with_one_record() -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b"), run_profile("c")])
    cycle = active_cycle("eu")
    assert set(outcomes(orchestrate_all()).values()) == {"skipped"}
    [record] = ExecutionRecord.objects.filter(event="cycle_skipped", namespace="eu")
    assert record.data["run_profile_id"] == "a"
    assert (record.data["active_cycle_run_id"], record.data["suppressed"]) == (str(cycle.pk), 0)
    assert rows("SELECT suppressed FROM orbit_skipnotice WHERE namespace = 'eu'") == [(2,)]
    orchestrate_all()
    assert rows("SELECT suppressed FROM orbit_skipnotice WHERE namespace = 'eu'") == [(5,)]
    rows("UPDATE orbit_skipnotice SET written_at = now() - interval '2 minutes' RETURNING 1")
    orchestrate_all()
    assert (
        "5 more triggers were skipped"
        in ExecutionRecord.objects.filter(event="cycle_skipped")
        .order_by("-partition_key")[0]
        .message
    )


def test_a_cycle_whose_worker_is_gone_is_resumed_by_its_own_run_profile_alone() -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b")])
    cycle = orchestrate_all()["b"].cycle_run_id
    CycleRun.objects.exclude(pk=cycle).delete()
    rows(
        "UPDATE orbit_cyclerun SET status = 'running', started_at = now(), lease_owner = 'w',"
        " lease_expires_at = now() - interval '1 s', next_due_at = now() RETURNING 1"
    )
    results = orchestrate_all()
    assert outcomes(results) == {"a": "skipped", "b": "started"}
    assert (results["b"].cycle_run_id, results["b"].detail) == (cycle, "resumed")


def test_two_thousand_run_profiles_take_fewer_than_forty_statements() -> None:
    store_profiles(
        [profile()],
        [run_profile(f"r{number:04d}", namespace=f"n{number % 500:03d}") for number in range(2000)],
    )
    active_cycle("n007")
    with CaptureQueriesContext(connection) as captured:
        results = orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM)
    assert len(captured) < 40, [query["sql"][:80] for query in captured]
    assert orchestrate.counts(results) == {"started": 499, "queued": 1497, "skipped": 4}
    assert CycleRun.objects.filter(status="queued").count() == 1497
    assert rows("SELECT count(*) FROM django_q_ormq")[0][0] <= 4


def test_a_users_orchestration_is_audited_once_and_the_schedulers_is_not() -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    orchestrate_all()
    assert not AuditTrailEntry.objects.filter(action="cycle.triggered").exists()
    orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM, reason="by hand")
    entry = AuditTrailEntry.objects.get(action="cycle.triggered")
    assert (entry.object_id, entry.namespace, entry.reason) == ("2 run profiles", None, "by hand")
    assert entry.after["outcomes"] == {"skipped": 2}


def test_named_run_profiles_say_if_they_are_disabled_and_unknown_ones_start_nothing() -> None:
    store_profiles(
        [profile()],
        [
            run_profile("a", state="disabled"),
            run_profile("b"),
            run_profile("own", namespace="us", execution_policy={"cron": "0 6 * * *"}),
        ],
    )
    results = orchestrate.selected(["own", "a", "a"], source=Trigger.REST, actor=SYSTEM)
    assert [(result.run_profile_id, result.outcome) for result in results] == [
        ("a", "disabled"),
        ("own", "started"),
    ]
    with pytest.raises(RunProfileUnknown, match="unknown"):
        orchestrate.selected(["b", "unknown"], source=Trigger.REST, actor=SYSTEM)
    assert not CycleRun.objects.filter(run_profile_id="b").exists()
    with pytest.raises(RunProfileUnknown):
        orchestrate.selected(
            ["b"], source=Trigger.REST, actor=replace(SYSTEM, namespaces=frozenset({"us"}))
        )


def test_orchestrating_needs_the_scope() -> None:
    with pytest.raises(NotAllowed):
        orchestrate.all_enabled(
            source=Trigger.REST, actor=replace(SYSTEM, scopes=frozenset({Scope.READ}))
        )


def test_a_user_orchestrates_self_scheduled_run_profiles_too() -> None:
    store_profiles([profile()], [run_profile("own", execution_policy={"cron": "0 6 * * *"})])
    (result,) = orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM)
    assert result.outcome == "started"


def test_under_a_global_pause_all_are_paused(settings) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    store_profiles([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    assert set(outcomes(orchestrate_all()).values()) == {"paused"}
    assert not CycleRun.objects.exists()


def test_an_error_in_a_run_profile_is_invalid_and_stops_no_other(caplog) -> None:
    store_profiles(
        [profile("broken"), profile()],
        [run_profile("a", "broken"), run_profile("b", namespace="us")],
    )
    # The API and the loader refuse this: the instruction has no canonical form.
    RunProfile.objects.filter(run_profile_id="a").update(
        document=run_profile("a", "broken", asset_bundle={"n": 2**60})
    )
    results = orchestrate_all()
    assert outcomes(results) == {"a": "invalid", "b": "started"}
    assert "ValueError" in results["a"].detail
    assert "can't be started" in caplog.text


def test_a_confined_actor_orchestrates_its_own_namespaces() -> None:
    store_profiles(
        [profile()], [run_profile("a", namespace="eu"), run_profile("b", namespace="us")]
    )
    assert list(orchestrate_all(namespaces=frozenset({"us"}))) == ["b"]
