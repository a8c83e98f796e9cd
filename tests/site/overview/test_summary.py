"""What needs a user, in one sentence: for REST, the command and the dashboard."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from governance.access.actors import Actor, operator
from governance.access.roles import Scope
from governance.kernel.identifiers import uuid7
from governance.models import Alert
from governance.namespaces import halts, pauses
from orbit import seen
from orbit.cycles import maintenance
from orbit.models import (
    ClusterNode,
    CycleRun,
    DeadLetterDispatch,
    EndpointState,
    OverviewFacts,
)
from orbit.states import SeenKind
from orbit_site.overview import banners, facts, summary
from orbit_site.overview.summary import Summary
from tests.support.callers import Api, api, create_user
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, configure_profiles

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def well(settings: Any) -> None:
    """An installation of which nothing needs a user."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    ClusterNode.objects.create(id=uuid7(), host="h", pid=1, release="1", workers=4)


def look(actor: Actor | None = None, namespace: str = "") -> Summary:
    return summary.of(actor or operator(), namespace=namespace, seconds=0.0)


def ended(status: str, run_profile_id: str | None = "r1", namespace: str = "a") -> CycleRun:
    return CycleRun.objects.create(
        id=uuid7(),
        namespace_id=namespace,
        status=status,
        trigger="cron",
        run_profile_id=run_profile_id,
        profile_id="p1",
        context={},
        initiation_hash="0" * 64,
        input=b"",
        input_content_type="text/plain",
        input_sha256="0" * 64,
        finished_at=Now(),
        reason="its deadline passed",
    )


def kinds(overview: Summary) -> list[str]:
    return [thing.kind for thing in overview.things]


def test_all_well_says_so_and_what_is_well() -> None:
    ended("success")
    overview = look()
    assert (overview.sentence, overview.things) == ("All well", [])
    assert overview.lead.startswith("1 of 2 run profiles delivered in the last 24 hours; ")


def test_one_thing_needs_you_and_two_things_need_you() -> None:
    ClusterNode.objects.all().delete()
    assert look().sentence == "1 thing needs you"
    halts.halt("a", actor=operator(), reason="receiver doubles orders")
    overview = look()
    assert (overview.sentence, kinds(overview)) == ("2 things need you", ["cluster", "halt"])
    assert "by command:" in overview.things[1].text
    assert overview.things[1].text.endswith("receiver doubles orders")


def test_a_group_of_dead_letters_is_one_thing_with_its_count_and_answer() -> None:
    create_dead_letters(3)
    create_dead_letters(1, error="HTTP 404", code=404)
    CycleRun.objects.update(status="success")
    first, second = look().things
    assert first.sentence.startswith(
        "3 deliveries are dead at default-endpoint: 503 Service Unavailable, since "
    )
    assert "growing" not in first.sentence
    assert second.sentence.startswith("1 delivery is dead at default-endpoint: 404 Not Found")
    assert first.link == "/admin/orbit/deadletterdispatch/?group=" + str(
        DeadLetterDispatch.objects.filter(status_code=503)[0].error_group
    )


def test_a_group_or_cycle_that_a_user_looks_after_needs_no_other_one() -> None:
    [letter] = create_dead_letters(1)
    group = DeadLetterDispatch.objects.get(pk=letter).error_group
    cycle = ended("failed")
    CycleRun.objects.filter(pk=letter).update(status="success")
    # Nor can those who see one namespace hide the letters of the others.
    confined = Actor("bea", None, frozenset({Scope.OPERATE}), frozenset({"default"}))
    seen.mark(SeenKind.GROUP, [group], confined)
    assert kinds(look()) == ["dead_letters", "cycle"]
    seen.mark(SeenKind.GROUP, [group], operator())
    seen.mark(SeenKind.CYCLE, [str(cycle.pk)], operator())
    assert look().sentence == "All well"
    assert look().numbers["dead_letters"] == 1
    # A mark is about the letters that were there, while they are open too.
    DeadLetterDispatch.objects.update(created_at=Now() - timedelta(hours=2))
    create_dead_letters(1)
    CycleRun.objects.exclude(pk=cycle.pk).update(status="success")
    assert kinds(look()) == ["dead_letters"]


def test_a_mark_counts_for_its_users_in_one_of_their_namespaces_too_and_for_no_others() -> None:
    [letter] = create_dead_letters(1, namespace="a")
    CycleRun.objects.update(status="success")
    group = DeadLetterDispatch.objects.get(pk=letter).error_group
    bea = Actor("bea", None, frozenset({Scope.OPERATE}), frozenset({"a", "b"}))
    seen.mark(SeenKind.GROUP, [group], bea)
    cal = Actor("cal", None, frozenset({Scope.OPERATE}), frozenset({"a"}))
    lists = [
        kinds(look(actor, namespace)) for actor in (bea, cal, operator()) for namespace in ("", "a")
    ]
    assert lists == [[], [], *[["dead_letters"]] * 4]
    seen.mark(SeenKind.GROUP, [group], cal)
    assert kinds(look(namespace="a")) == ["dead_letters"]


def test_a_failed_cycle_needs_nobody_after_a_later_success_of_its_run_profile() -> None:
    ended("failed")
    newest = ended("failed")
    [thing] = look().things
    assert thing.link == f"/admin/orbit/cyclerun/{newest.pk}/change/"
    assert thing.sentence == "r1 failed: its deadline passed"
    ended("success", "r2", namespace="b")
    assert len(look().things) == 1
    ended("success")
    assert look().sentence == "All well"


def test_a_failed_trigger_without_a_run_profile_needs_nobody_after_its_profiles_success() -> None:
    ended("partial_success", None)
    ended("success")
    assert kinds(look()) == ["cycle"]
    ended("success", None)
    assert look().sentence == "All well"


def test_more_things_of_a_kind_are_one_line_but_count() -> None:
    configure_profiles(**{f"r{i}": {"namespace": "a"} for i in range(8)})
    for i in range(8):
        ended("failed", f"r{i}")
    overview = look()
    assert overview.sentence == "8 things need you"
    assert len(overview.things) == 6
    assert overview.things[-1].sentence == "3 more cycles need you"


def test_a_pause_and_an_open_breaker_need_a_user() -> None:
    pauses.pause(actor=operator(), reason="migration tonight")
    EndpointState.objects.create(
        id=uuid7(),
        endpoint_key="aurora",
        host="h",
        opened_at=Now(),
        probe_at=Now() + timedelta(seconds=9),
        probe_wait=5,
        last_error="HTTP 503",
    )
    paused, down = look().things
    assert (paused.kind, down.kind) == ("pause", "endpoint")
    assert paused.sentence.endswith("migration tonight")
    assert down.sentence.startswith("aurora is down since ")


def test_a_probe_that_waits_for_a_delivery_has_no_time_of_the_past() -> None:
    EndpointState.objects.create(
        id=uuid7(),
        endpoint_key="aurora",
        host="h",
        opened_at=Now() - timedelta(minutes=2),
        probe_at=Now() - timedelta(minutes=1),
        probe_wait=30,
        last_error="HTTP 503",
    )
    shown = banners.active(operator(), (look().facts, []))
    [banner] = [each.text for each in shown if "aurora" in each.text]
    assert banner.endswith("its deliveries wait. The next one is its probe.")


def test_a_cycle_whose_tiers_succeeded_says_how_much_arrived() -> None:
    create_dead_letters(2)
    CycleRun.objects.update(status="partial_success", run_profile_id="r1")
    [thing] = [each for each in look().things if each.kind == "cycle"][:1]
    assert re.search(r"^r1: 0 of \d deliveries arrived$", thing.sentence), thing.sentence


def test_a_group_that_goes_on_growing_says_so() -> None:
    first, *_ = create_dead_letters(3)
    CycleRun.objects.update(status="success")
    DeadLetterDispatch.objects.filter(pk=first).update(created_at=Now() - timedelta(hours=2))
    [thing] = look().things
    assert thing.sentence.endswith("; still growing")


def test_an_alert_needs_a_user_until_it_is_acknowledged_and_none_is_said_twice() -> None:
    alert = Alert.objects.create(
        id=uuid7(),
        condition="cycle_not_finished",
        object="c",
        summary="A cycle of r1 runs for 3 hours.",
        link="/admin/orbit/cyclerun/",
    )
    Alert.objects.create(id=uuid7(), condition="dead_letters", object="g", summary="3 are dead.")
    overview = look()
    assert [thing.sentence for thing in overview.things] == ["A cycle of r1 runs for 3 hours"]
    assert overview.facts["alerts"] == 2
    Alert.objects.filter(pk=alert.pk).update(acknowledged_at=Now())
    assert look().sentence == "All well"


def test_a_confined_user_and_a_namespaces_overview_see_only_their_namespaces_things() -> None:
    ended("failed", "r2", namespace="b")
    halts.halt("b", actor=operator(), reason="receiver doubles orders")
    EndpointState.objects.create(
        id=uuid7(), endpoint_key="x", host="h", opened_at=Now(), probe_at=Now(), probe_wait=5
    )
    confined = Actor("ann", None, frozenset({Scope.READ}), frozenset({"a"}))
    assert look(confined).sentence == "All well"
    assert look(confined, "b").numbers["active_cycles"] == 0
    assert look(confined, "b").sentence == "All well"
    assert kinds(look(namespace="b")) == ["cycle", "halt", "endpoint"]
    assert kinds(look(namespace="a")) == ["endpoint"]


def test_readers_share_what_was_read_for_two_seconds(django_assert_num_queries: Any) -> None:
    summary.of(operator())
    OverviewFacts.objects.update(taken_at=Now())
    ended("failed")
    with django_assert_num_queries(2):  # the proposals that wait for the actor, the facts
        # However slow the machine is.
        assert summary.of(operator(), seconds=3600.0).sentence == "All well"
    _set_facts(age=3, took=0.001)
    assert summary.of(operator()).sentence == "1 thing needs you"
    assert OverviewFacts.objects.count() == 2


def test_facts_that_took_long_to_read_are_shared_for_longer() -> None:
    summary.of(operator())
    ended("failed")
    _set_facts(age=5, took=0.2)
    assert summary.of(operator()).sentence == "All well"
    assert summary.of(operator(), seconds=0).sentence == "1 thing needs you"
    _set_facts(age=11, took=3600)
    assert facts.read(operator())[0]["took"] < 3600


def _set_facts(*, age: float, took: float) -> None:
    for row in OverviewFacts.objects.all():
        row.taken_at = Now() - timedelta(seconds=age)
        if isinstance(row.facts, dict):
            row.facts["took"] = took
        row.save()


def test_facts_that_another_release_stored_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    old = replace(facts.FACTS, text="SELECT '{}' AS document")
    with monkeypatch.context() as earlier:
        earlier.setattr(facts, "FACTS", old)
        assert "active" not in facts.read(operator())[0]
    assert facts.read(operator())[0]["active"] == 0


def test_what_was_read_before_the_clock_went_back_is_read_again() -> None:
    summary.of(operator())
    OverviewFacts.objects.update(taken_at=Now() + timedelta(hours=1))
    ended("failed")
    assert summary.of(operator()).sentence == "1 thing needs you"


def test_a_first_read_is_a_few_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(8):
        summary.of(operator())


def test_rest_and_the_command_say_the_same() -> None:
    ended("failed")
    answer = api(create_user("vic", "Viewer")).get("/overview")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["sentence"], body["all_well"]) == ("1 thing needs you", False)
    assert body["things"][0]["text"] == "r1 failed: its deadline passed"
    out = StringIO()
    with pytest.raises(SystemExit) as ended_with:
        call_command("status", "--json", stdout=out)
    assert ended_with.value.code == 1
    document = json.loads(out.getvalue())
    assert document["things"] == body["things"]
    assert document["numbers"] == body["numbers"]
    out = StringIO()
    call_command("status", "--namespace", "b", stdout=out)
    assert out.getvalue().startswith("All well\n")


@pytest.mark.parametrize(
    ("number", "own", "needs"),
    [(2, "[]", []), (0, None, ["endpoint"]), (None, "[]", ["endpoint"]), (None, None, [])],
)
def test_the_clusters_say_whether_an_endpoint_is_configured(
    settings: Any, number: int | None, own: str | None, needs: list[str]
) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = own or settings.ORBIT_DISPATCH_ENDPOINTS
    ClusterNode.objects.update(endpoints=number)
    overview = look()
    assert kinds(overview) == needs
    assert len(banners.read(operator(), "")) == len(needs)


def test_a_shell_with_other_settings_than_the_clusters_says_so(settings: Any) -> None:
    ended("success")
    ClusterNode.objects.update(
        endpoints=1,
        settings_sha256=maintenance.settings_hash(),
        seen_at=Now() + timedelta(minutes=5),  # however slow the machine is
    )
    out, errors = StringIO(), StringIO()
    call_command("status", stdout=out, stderr=errors)
    assert not errors.getvalue()
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    call_command("status", stdout=out, stderr=errors)
    assert out.getvalue().count("All well\n") == 2
    call_command("endpoint", "list", stdout=out, stderr=errors)
    assert errors.getvalue().count("this shell's settings differ from the clusters'") == 2


def test_a_caller_without_a_role_reads_no_overview() -> None:
    assert Api(None).get("/overview").status_code == 401
