"""A cycle for every run profile whose turn it is."""

from dataclasses import replace

import pytest

from governance.access.actors import SYSTEM
from governance.models import GovernanceSetting
from orbit.cycles import orchestrate
from orbit.cycles.orchestrate import Outcome
from orbit.models import CycleRun, ExecutionRecord, RunProfile
from orbit.states import Trigger
from tests.support.configuration import active_cycle, profile, run_profile, store

pytestmark = pytest.mark.django_db


def outcomes(**of: object) -> dict[str, Outcome]:
    return {one.run_profile_id: one for one in orchestrate.all_enabled(source=Trigger.CRON, actor=replace(SYSTEM, **of))}


def test_each_enabled_run_profile_gets_a_cycle_of_its_own() -> None:
    store([profile()], [run_profile("a", namespace="eu"), run_profile("b", namespace="us")])
    found = outcomes()
    assert {name: one.outcome for name, one in found.items()} == {"a": "started", "b": "started"}
    for name, namespace in (("a", "eu"), ("b", "us")):
        cycle = CycleRun.objects.get(id=found[name].cycle_run_id)
        assert (cycle.run_profile_id, cycle.namespace_id, cycle.trigger, cycle.status) == (name, namespace, "cron", "pending")


def test_disabled_hidden_and_self_scheduled_run_profiles_have_no_turn() -> None:
    store([profile()], [run_profile("off", state="disabled"), run_profile("own", execution_policy={"cron": "0 6 * * *"}),
                        run_profile("gone", namespace="us"), run_profile("on", namespace="jp", execution_policy={"time_zone": "Asia/Tokyo"})])  # fmt: skip
    RunProfile.objects.filter(run_profile_id="gone").update(hidden=True)
    assert list(outcomes()) == ["on"]


def test_one_that_can_not_start_says_why_and_stops_no_other() -> None:
    store([profile(), profile("off", state="disabled")],
          [run_profile("a-off", "off"), run_profile("b-halted", namespace="halted"), run_profile("c-busy", namespace="busy"),
           run_profile("d-draining", namespace="draining"), run_profile("z", namespace="free")])  # fmt: skip
    GovernanceSetting.objects.filter(namespace__name="halted").update(halt=True, mode="quiet", reason="flood", changed_by="ann")
    GovernanceSetting.objects.filter(namespace__name="draining").update(mode="draining")
    cycle = active_cycle("busy")
    found = outcomes()
    assert {name: one.outcome for name, one in found.items()} == {
        "a-off": "disabled", "b-halted": "halted", "c-busy": "skipped", "d-draining": "halted", "z": "started"}  # fmt: skip
    assert "flood" in found["b-halted"].detail
    assert str(cycle.id) in found["c-busy"].detail
    assert found["c-busy"].cycle_run_id is None
    assert ExecutionRecord.objects.filter(event="cycle_skipped", namespace="busy").exists()


def test_of_several_in_one_namespace_the_first_starts_and_the_others_are_skipped() -> None:
    store([profile()], [run_profile("b"), run_profile("a"), run_profile("c")])
    assert {name: one.outcome for name, one in outcomes().items()} == {"a": "started", "b": "skipped", "c": "skipped"}
    assert CycleRun.objects.get().run_profile_id == "a"


def test_under_a_global_pause_all_are_paused(settings) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    store([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    assert {one.outcome for one in outcomes().values()} == {"paused"}
    assert not CycleRun.objects.exists()


def test_a_fault_inside_one_is_invalid_and_stops_no_other(caplog) -> None:
    store([profile("broken"), profile()], [run_profile("a", "broken"), run_profile("b", namespace="us")])
    # What no door would write: an instruction of it has no canonical form.
    RunProfile.objects.filter(run_profile_id="a").update(document=run_profile("a", "broken", asset_bundle={"n": 2**60}))
    found = outcomes()
    assert {name: one.outcome for name, one in found.items()} == {"a": "invalid", "b": "started"}
    assert "ValueError" in found["a"].detail
    assert "can't be started" in caplog.text


def test_a_confined_actor_orchestrates_its_own_namespaces() -> None:
    store([profile()], [run_profile("a", namespace="eu"), run_profile("b", namespace="us")])
    assert list(outcomes(namespaces=frozenset({"us"}))) == ["b"]
