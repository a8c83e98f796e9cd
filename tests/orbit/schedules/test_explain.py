"""Why it ran, or didn't: one sentence for each thing that can be in the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule as Row

from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, GovernanceSetting
from orbit.errors import RunProfileUnknown
from orbit.models import CronTick, CycleRun, RunProfile, RunProfileRevision
from orbit.schedules import change, explain, ledger, run_tick
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES, RUN_PROFILES
from orbit.schedules.sync import RunProfileSchedules, sync
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db

OWN = "run-profile:a"


@pytest.fixture
def due() -> datetime:
    """Return the last tick of a run profile that runs each hour and was made yesterday."""
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    store_profiles(
        [profile()],
        [
            run_profile(
                "a",
                execution_policy={"cron": f"{now.minute} * * * *", "time_zone": "Europe/Berlin"},
            )
        ],
    )
    rows("UPDATE orbit_runprofilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    rows("UPDATE orbit_profilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    RunProfileSchedules("UTC").follow()
    return now


def tick(due: datetime, **columns: Any) -> None:
    """Have the tick of that moment decided."""
    Row.objects.filter(name=OWN).update(next_run=due)
    ledger.enqueue_due(due + timedelta(seconds=1))
    cron_tick = CronTick.objects.get(schedule=OWN, due_at=due)
    run_tick.run(cron_tick.pk, now=due + timedelta(seconds=2))
    CronTick.objects.filter(pk=cron_tick.pk).update(**columns)


def after_the_last_entry() -> datetime:
    """Return a time after the newest audit entry: a carried clock lags by the way of its answer."""
    return AuditTrailEntry.objects.latest("at").at + timedelta(milliseconds=1)


def sentence_at(at: datetime, name: str = "a", **options: Any) -> str:
    return explain.explain(name, at, actor=SYSTEM, **options).sentence


def test_a_tick_that_started_a_cycle_is_named(due: datetime) -> None:
    tick(due)
    cycle = CycleRun.objects.get()
    answer = explain.explain("a", due + timedelta(minutes=3), actor=SYSTEM)
    assert answer.ran
    local = due.astimezone(ZoneInfo("Europe/Berlin"))
    assert answer.sentence.startswith(
        f"It did run: the tick of run-profile:a that was due at {local:%Y-%m-%d %H:%M:%S}"
    )
    assert answer.sentence.count(str(cycle.pk)) == 1
    assert answer.facts["tick"]["result"]["cycle_run_id"] == str(cycle.pk)


def test_a_cycle_that_a_user_started_is_named_too(due: datetime) -> None:
    cycle = active_cycle("eu")
    CycleRun.objects.filter(pk=cycle.pk).update(run_profile_id="a")
    assert f"Its cycle {cycle.pk} (pending) was accepted" in sentence_at(clock.now())


def test_an_active_cycle_is_named(due: datetime) -> None:
    cycle = active_cycle("eu")
    tick(due)
    sentence = sentence_at(due)
    assert "was skipped" in sentence and str(cycle.pk) in sentence


def test_a_halt_is_named_with_its_actor(due: datetime) -> None:
    GovernanceSetting.objects.filter(namespace__name="eu").update(
        halt=True, mode="quiet", reason="flood", changed_by="ann", since=due - timedelta(hours=1)
    )
    tick(due)
    answer = explain.explain("a", due, actor=SYSTEM)
    assert "was refused: eu is halted" in answer.sentence and "by ann: flood" in answer.sentence
    assert answer.facts["stopped"]["by"] == "ann"


@pytest.mark.parametrize(
    ("object_type", "object_id", "begin", "end", "kind"),
    [
        ("namespace", "eu", Action.NAMESPACE_HALTED, Action.NAMESPACE_RESUMED, "halt"),
        ("namespace", "eu", Action.NAMESPACE_DRAINED, Action.NAMESPACE_RESUMED, "drain"),
        ("pause", "everything", Action.PAUSE_SET, Action.PAUSE_LIFTED, "pause"),
    ],
)
def test_a_past_stop_is_read_from_the_trail(
    due: datetime, object_type: str, object_id: str, begin: Action, end: Action, kind: str
) -> None:
    with audit.transaction():
        audit.record(
            begin,
            actor="ann",
            object_type=object_type,
            object_id=object_id,
            reason="flood",
            after={"until": None},
        )
    now = after_the_last_entry()
    [stopped] = [explain.explain("a", now, actor=SYSTEM, now=now).facts["stopped"]]
    assert (stopped["kind"], stopped["by"], stopped["reason"]) == (kind, "ann", "flood")
    assert (
        explain.explain("a", due - timedelta(days=1) + timedelta(hours=2), actor=SYSTEM).facts[
            "stopped"
        ]
        is None
    )
    with audit.transaction():
        audit.record(end, actor="ann", object_type=object_type, object_id=object_id, reason="over")
    now = after_the_last_entry()
    assert explain.explain("a", now, actor=SYSTEM, now=now).facts["stopped"] is None


def test_a_stop_without_a_tick_is_named_because_it_refused_triggers(
    due: datetime,
) -> None:
    Row.objects.filter(name=OWN).update(next_run=due + timedelta(days=1))
    with audit.transaction():
        audit.record(
            Action.NAMESPACE_HALTED,
            actor="ann",
            object_type="namespace",
            object_id="eu",
            reason="flood.",
            after={"until": "2999-01-01T00:00:00+00:00"},
        )
    now = after_the_last_entry()
    sentence = sentence_at(now, now=now)
    assert "Nothing could start then: eu was halted since " in sentence
    assert " until 2999-01-01 01:00:00 CET by ann: flood." in sentence
    assert "halted" not in sentence_at(now + timedelta(hours=1), now=now)  # still to come


def test_a_tick_before_the_stop_is_named_with_it_and_a_refused_tick_names_it_once(
    due: datetime,
) -> None:
    tick(due)
    with audit.transaction():
        audit.record(
            Action.NAMESPACE_HALTED,
            actor="ann",
            object_type="namespace",
            object_id="eu",
            reason="flood",
            after={"until": None},
        )
    now = after_the_last_entry()
    sentence = sentence_at(now, now=now)
    assert sentence.startswith("It did run: ") and sentence.endswith("by ann: flood.")
    rows("UPDATE orbit_crontick SET due_at = now() + interval '1 second' RETURNING 1")
    assert "could start" not in sentence_at(clock.now())


def test_a_time_without_a_cluster_is_named(due: datetime) -> None:
    CronTick.objects.create(
        id=uuid7(),
        schedule=OWN,
        tick_key="k",
        due_at=due,
        outcome="missed",
        detail={
            "no_cluster_from": (due - timedelta(hours=1)).isoformat(),
            "no_cluster_until": due.isoformat(),
        },
    )
    assert "no cluster was alive from" in sentence_at(due)


def test_a_moment_inside_a_missed_range_was_missed(due: datetime) -> None:
    begin = due - timedelta(hours=20)
    span = {
        "from": begin.isoformat(),
        "until": due.isoformat(),
        "no_cluster_from": begin.isoformat(),
        "no_cluster_until": due.isoformat(),
    }
    CronTick.objects.create(
        id=uuid7(), schedule=OWN, tick_key="k", due_at=begin, outcome="missed", detail=span
    )
    assert "no cluster was alive" in sentence_at(due - timedelta(hours=9))


def test_a_tick_that_no_cluster_has_seen_yet_is_pending(due: datetime) -> None:
    Row.objects.filter(name=OWN).update(next_run=due)
    assert "no cluster has looked since" in sentence_at(due)


def test_a_late_tick_is_named(due: datetime) -> None:
    tick(due, outcome="late", detail={"max_lateness": 60})
    assert "more than 60 s late" in sentence_at(due)


def test_a_disabled_run_profile_is_named_with_actor_and_reason(due: datetime) -> None:
    with audit.transaction():
        from_then = run_profile(
            "a", state="disabled", execution_policy={"cron": f"{due.minute} * * * *"}
        )
        RunProfileRevision.objects.create(
            run_profile=RunProfile.objects.get(),
            number=2,
            document=from_then,
            author="ann",
            source="admin",
            reason="too loud",
            created_at=due - timedelta(hours=2),
        )
    sentence = sentence_at(due)
    assert (
        "the run profile a was disabled since revision 2" in sentence
        and "by ann: too loud" in sentence
    )
    assert "disabled" not in sentence_at(due - timedelta(hours=3))


def test_a_disabled_profile_is_named(due: datetime) -> None:
    store_profiles([profile(state="disabled")], [])
    rows(
        "UPDATE orbit_profilerevision SET created_at = now() - interval '5 hours'"
        " WHERE number = 2 RETURNING 1"
    )
    assert "the profile daily was disabled" in sentence_at(due)


def test_a_hidden_or_missing_run_profile_is_named(due: datetime) -> None:
    assert "It didn't exist yet" in sentence_at(due - timedelta(days=2))
    rows(
        "UPDATE orbit_runprofile SET hidden = true, updated_at = now() - interval '3 hours'"
        " RETURNING 1"
    )
    assert "the configuration has had no a since" in sentence_at(due)


def test_a_schedule_that_is_off_is_named_with_its_actor(due: datetime) -> None:
    change.switch(OWN, on=False, actor=replace(SYSTEM, name="ann"), reason="quiet night")
    entry = rows("SELECT at FROM governance_audittrailentry WHERE action = 'schedule.changed'")[0][
        0
    ]
    sentence = sentence_at(entry + timedelta(minutes=30), now=entry + timedelta(hours=2))
    assert "run-profile:a was switched off by ann" in sentence and "quiet night" in sentence
    assert "switched off" not in sentence_at(entry - timedelta(hours=2))


def test_a_time_without_a_tick_names_the_next_one(due: datetime) -> None:
    sentence = sentence_at(due - timedelta(minutes=30))
    assert sentence.startswith("Nothing was due: run-profile:a (") and "is due next at" in sentence


def test_a_future_time_names_the_next_tick(due: datetime) -> None:
    assert "is still to come, and is due next at" in sentence_at(
        datetime.now(UTC) + timedelta(hours=3)
    )


def test_a_run_profile_without_a_cron_follows_the_shared_schedules() -> None:
    store_profiles([profile()], [run_profile("b")])
    rows("UPDATE orbit_runprofilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    at = datetime.now(UTC) - timedelta(hours=1)
    assert "neither ORBIT_RUN_PROFILE_CRON_SCHEDULE nor ORBIT_CRON_SCHEDULE is set" in sentence_at(
        at, "b"
    )
    sync([Schedule(CYCLES, "0 0 1 1 *", "UTC"), Schedule(RUN_PROFILES, "", "UTC")])
    assert explain.explain("b", at, actor=SYSTEM).facts["schedule"] == CYCLES
    CronTick.objects.create(
        id=uuid7(),
        schedule=CYCLES,
        tick_key="k",
        due_at=at,
        outcome="started",
        detail={"cycle_run_id": "x"},
    )
    assert "started a raw cycle" in sentence_at(at, "b")
    sync([Schedule(CYCLES, "0 0 1 1 *", "UTC"), Schedule(RUN_PROFILES, "0 0 2 1 *", "UTC")])
    assert explain.explain("b", at, actor=SYSTEM).facts["schedule"] == RUN_PROFILES
    CronTick.objects.create(
        id=uuid7(),
        schedule=RUN_PROFILES,
        tick_key="k",
        due_at=at,
        outcome="started",
        detail={
            "outcomes": {"started": 1, "skipped": 1},
            "results": [],
            "others": {"skipped": ["b"]},
        },
    )
    assert " was skipped." in sentence_at(at, "b")


def test_a_user_of_another_namespace_learns_nothing(due: datetime) -> None:
    for name, namespaces in (("a", {"us"}), ("unknown", {"eu"}), ("\x00", {"eu"})):
        with pytest.raises(RunProfileUnknown):
            explain.explain(name, due, actor=replace(SYSTEM, namespaces=frozenset(namespaces)))


def test_a_user_who_cannot_see_the_former_namespace_learns_nothing_of_it(due: datetime) -> None:
    tick(due)
    store_profiles([], [run_profile("a", namespace="us", execution_policy={"cron": "0 0 * * *"})])
    answer = explain.explain("a", due, actor=replace(SYSTEM, namespaces=frozenset({"us"})))
    assert "didn't exist in a namespace that you see" in answer.sentence
    assert (answer.facts["namespace"], answer.facts["tick"], answer.facts["revision"]) == (
        "us",
        None,
        None,
    )


def test_an_answer_takes_few_queries(due: datetime) -> None:
    tick(due)
    with CaptureQueriesContext(connection) as captured:
        sentence_at(due)
    assert len(captured) <= 12


def test_a_tick_of_many_explains_this_run_profile_and_no_other_namespace(
    settings: Any,
) -> None:
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    cron = settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE = f"{due.minute} * * * *"
    store_profiles(
        [profile()],
        [
            run_profile("mine", namespace="eu", state="disabled"),
            run_profile("secret", namespace="hidden"),
        ],
    )
    rows("UPDATE orbit_runprofilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    rows("UPDATE orbit_profilerevision SET created_at = now() - interval '1 day' RETURNING 1")
    sync([Schedule(RUN_PROFILES, cron, "UTC")])
    GovernanceSetting.objects.filter(namespace__name="hidden").update(
        halt=True, mode="quiet", reason="a purchase", changed_by="bob", since=due
    )
    Row.objects.filter(name=RUN_PROFILES).update(next_run=due)
    ledger.enqueue_due(due + timedelta(seconds=1))
    run_tick.run(
        CronTick.objects.get(schedule=RUN_PROFILES, due_at=due).pk, now=due + timedelta(seconds=2)
    )
    confined = Actor("ann", 1, frozenset({Scope.READ}), frozenset({"eu"}))
    assert (
        "the run profile mine was disabled" in explain.explain("mine", due, actor=confined).sentence
    )
    rows(
        "UPDATE orbit_runprofilerevision"
        " SET document = jsonb_set(document, '{state}', '\"enabled\"') RETURNING 1"
    )
    sentence = explain.explain("mine", due, actor=confined).sentence
    assert "didn't run" in sentence
    assert "hidden" not in sentence
    assert "purchase" not in sentence
