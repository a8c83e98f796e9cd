"""Evaluation of the written policies: what acts, and everything that keeps them from it."""

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from advisory.autonomy import act as acting
from advisory.autonomy.evaluate import Evaluation, evaluate
from advisory.models import AutonomyAction
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import AuditTrailEntry
from governance.namespaces import halts, pauses
from orbit.models import Profile, ProfileRevision, RunProfile
from orbit.profiles import edit
from orbit.profiles.kinds import PROFILE
from orbit.states import ProfileState
from tests.support import advisory_signals, utc_day
from tests.support.advisory_signals import policy
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LOW = ("low_performance", 0.99)
Write = Callable[..., None]


def windows(number: int, confidence: float = 0.9) -> dict[str, Any]:
    return {"signal": "low_performance", "windows": number, "min_confidence": confidence}


@pytest.fixture(autouse=True)
def configuration(db: None) -> None:
    store_profiles([profile()], [run_profile()])


def low(*names: str, **options: Any) -> UUID:
    """Store a computation that says these profiles of eu do badly."""
    return advisory_signals.store({(name, "eu"): LOW for name in names or ("daily",)}, **options)


def state(profile_id: str = "daily") -> str:
    return Profile.objects.get(profile_id=profile_id).state


def refusal(evaluation: Evaluation) -> str:
    assert not evaluation.actions
    [refused] = evaluation.refusals
    return refused.why


def test_a_policy_disables_the_profile_and_leaves_a_complete_trace(write: Write) -> None:
    write(policy())
    computation = low()
    [action] = evaluate(computation).actions
    row = Profile.objects.get()
    assert (row.state, row.revision) == ("disabled", 2)
    revision = ProfileRevision.objects.get(number=2)
    assert (revision.author, revision.source) == ("orbit", "autonomy")
    signal = str(action.signal_id)
    assert "broken" in revision.reason
    assert signal in revision.reason
    assert (action.policy, action.document) == ("broken", policy())
    assert (action.base_revision, action.made_revision, action.number) == (1, 2, 1)
    entry = AuditTrailEntry.objects.get(action="autonomy.acted")
    assert (entry.actor, entry.object_id, entry.namespace) == ("orbit", str(action.id), "eu")
    assert entry.reason == action.reason == revision.reason
    assert (entry.before, entry.after) == (profile(), profile(state="disabled"))


def test_a_run_profile_is_disabled_only_in_the_namespace_of_the_signal(write: Write) -> None:
    store_profiles([], [run_profile("daily-us", namespace="us"), run_profile("daily-eu-2")])
    write(policy(do="disable_run_profile"))
    evaluation = evaluate(low())
    assert {action.run_profile_id for action in evaluation.actions} == {"daily-eu", "daily-eu-2"}
    assert {action.number for action in evaluation.actions} == {1, 2}
    states = dict(RunProfile.objects.values_list("run_profile_id", "state"))
    assert states == {"daily-eu": "disabled", "daily-eu-2": "disabled", "daily-us": "enabled"}
    assert state() == "enabled"


@pytest.mark.parametrize(
    "found",
    [
        {("daily", "eu"): ("low_performance", 0.89)},
        {("daily", "eu"): ("stable", 1.0)},
        {("daily", "us"): LOW},
        {("other", "eu"): LOW},
        {("daily", None): LOW},
    ],
)
def test_what_the_policy_does_not_say_does_nothing(write: Write, found: Any) -> None:
    write(policy())
    assert evaluate(advisory_signals.store(found)) == Evaluation()
    assert state() == "enabled"


def test_a_window_is_the_newest_signal_of_a_day_and_the_days_are_in_a_row(write: Write) -> None:
    write(policy(when=windows(3)))
    now = clock.read()
    low(to=now - 2 * DAY)
    low(to=now - DAY)
    # Computed again and again on one day, it is still one window.
    assert [evaluate(low(to=now - DAY)).actions for _ in range(3)] == [()] * 3
    assert evaluate(low(to=now)).actions
    assert state() == "disabled"


def test_a_day_without_a_signal_or_with_a_good_one_breaks_the_row(write: Write) -> None:
    write(policy(when=windows(2)))
    now = clock.read()
    low(to=now - 2 * DAY)
    assert not evaluate(low(to=now)).actions
    low(to=now - DAY)
    good = advisory_signals.store({("daily", "eu"): ("stable", 0.9)}, to=now - DAY)
    assert not evaluate(low(to=now)).actions
    assert not evaluate(good).actions
    # The newest of the day decides.
    low(to=now - DAY)
    assert evaluate(low(to=now)).actions


def test_an_old_or_a_short_window_does_nothing(write: Write) -> None:
    write(policy())
    now = clock.read()
    assert evaluate(low(to=now - 2 * DAY)) == Evaluation()
    assert evaluate(low(to=now, length=timedelta(hours=1))) == Evaluation()
    assert state() == "enabled"


def test_a_signal_from_before_an_edit_does_not_count(write: Write) -> None:
    write(policy(when=windows(2)))
    now = clock.read()
    low(to=now - DAY)
    store_profiles([profile(label="Mended")], [])
    assert evaluate(low(to=now)) == Evaluation()


def test_a_window_that_ended_before_an_edit_does_not_count_whenever_it_is_computed(
    write: Write,
) -> None:
    write(policy(when=windows(2)))
    store_profiles([profile(label="Mended")], [])
    low(to=clock.read() - DAY)
    assert evaluate(low()) == Evaluation()
    # Two days later, both are of the mended profile.
    ProfileRevision.objects.filter(number=2).update(created_at=clock.read() - 2 * DAY)
    assert evaluate(low()).actions


def test_the_same_signal_acts_once_even_for_a_profile_that_was_enabled_by_hand(
    write: Write,
) -> None:
    write(policy())
    computation = low()
    assert evaluate(computation).actions
    assert evaluate(computation) == Evaluation()  # it is disabled
    edit.set_state(
        PROFILE, "daily", ProfileState.ENABLED, actor=SYSTEM, source="admin", reason="mended"
    )
    assert evaluate(computation) == Evaluation()
    # The window of the next computation has mostly the same cycles.
    assert evaluate(low()) == Evaluation()
    assert state() == "enabled"
    # Days later all cycles are from after the hand.
    ProfileRevision.objects.filter(number=3).update(created_at=clock.read() - 8 * DAY)
    assert evaluate(low()).actions


def test_a_profile_that_runs_elsewhere_is_not_disabled(write: Write) -> None:
    store_profiles([], [run_profile("daily-us", namespace="us")])
    write(policy())
    assert "also runs in us" in refusal(evaluate(low()))
    assert state() == "enabled"
    write(policy(namespaces=["us", "eu"]))
    assert evaluate(low()).actions


@pytest.mark.parametrize("stop", ["halt", "drain", "pause", "environment"])
def test_a_stop_forbids_it(write: Write, settings: Any, stop: str) -> None:
    write(policy())
    if stop == "pause":
        pauses.pause(actor=SYSTEM, reason="storm")
    elif stop == "environment":
        settings.ORBIT_GLOBAL_PAUSE = True
    else:
        getattr(halts, stop)("eu", actor=SYSTEM, reason="storm")
    assert refusal(evaluate(low()))
    assert state() == "enabled"
    assert not AutonomyAction.objects.exists()


def test_a_stop_of_another_namespace_of_the_profile_forbids_it_too(write: Write) -> None:
    store_profiles([], [run_profile("daily-us", namespace="us")])
    write(policy(namespaces=["us", "eu"]))
    halts.halt("us", actor=SYSTEM, reason="storm")
    assert "us is halted" in refusal(evaluate(low()))


def test_a_pause_between_evaluation_and_action_forbids_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(policy())
    lock = acting.revisions.lock

    def pause_then_lock() -> str:
        monkeypatch.undo()
        pauses.pause(actor=SYSTEM, reason="storm")
        return lock()

    monkeypatch.setattr(acting.revisions, "lock", pause_then_lock)
    assert "paused" in refusal(evaluate(low()))
    assert state() == "enabled"


def test_an_edit_between_evaluation_and_action_forbids_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(policy())
    lock = acting.revisions.lock

    def edit_then_lock() -> str:
        monkeypatch.undo()
        store_profiles([profile(label="Mended")], [])
        return lock()

    monkeypatch.setattr(acting.revisions, "lock", edit_then_lock)
    assert "changed meanwhile" in refusal(evaluate(low()))
    assert state() == "enabled"


def test_a_policy_does_no_more_than_its_number_a_day(write: Write) -> None:
    names = [f"p{number}" for number in range(5)]
    store_profiles(
        [profile(name) for name in names], [run_profile(f"{name}-eu", name) for name in names]
    )
    write(policy(profiles=names, max_per_day=2))
    utc_day.wait_for_room()
    for _ in range(2):  # of another day
        advisory_signals.action("other", "us", day=clock.read().date() - DAY)
    computation = low(*names)
    evaluation = evaluate(computation)
    assert [action.number for action in evaluation.actions] == [1, 2]
    assert [refused.document for refused in evaluation.refusals] == ["p2"]
    assert "max_per_day" in evaluation.refusals[0].why
    assert not evaluate(computation).actions
    assert [state(name) for name in names] == ["disabled"] * 2 + ["enabled"] * 3


def test_a_caller_may_have_some_actions_done_at_a_time(write: Write) -> None:
    names = [f"p{number}" for number in range(5)]
    store_profiles(
        [profile(name) for name in names], [run_profile(f"{name}-eu", name) for name in names]
    )
    write(policy(profiles=names, max_per_day=5))
    computation = low(*names)
    done = [evaluate(computation, most=2) for _ in range(3)]
    assert [(len(some.actions), some.more) for some in done] == [(2, True), (2, True), (1, False)]


def test_the_policy_is_stored_as_it_was_and_an_edit_of_the_file_is_seen_at_once(
    write: Write,
) -> None:
    write(policy(when=windows(1, 1.0)))
    assert evaluate(low()) == Evaluation()
    write(policy(when=windows(1, 0.5)))
    [action] = evaluate(low()).actions
    assert action.document["when"]["min_confidence"] == 0.5


def test_no_file_is_no_policy(folder: Path) -> None:
    assert evaluate(low()) == Evaluation()


def test_a_file_that_has_become_invalid_does_nothing_but_an_error(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(policy(), policy("second", max_per_day=0))
    evaluation = evaluate(low())
    assert "autonomy.json#/1/max_per_day" in evaluation.problem
    assert state() == "enabled"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert any("autonomy.json#/1/max_per_day" in record.getMessage() for record in errors)
