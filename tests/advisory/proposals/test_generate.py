"""What the engine proposes for a profile that performs low."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from advisory.autonomy import computing, proposing
from advisory.models import AdvisorySignal, StrategyProposal
from advisory.proposals import generate, rules
from advisory.proposals.generate import Generated
from advisory.signals import windows
from advisory.statistics import forecasts
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES
from governance.models import AuditTrailEntry
from orbit.errors import ProfileUnknown
from orbit.models import Profile, RunProfile
from tests.support import cycle_events, recorded_cycles
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import configure_endpoints

pytestmark = pytest.mark.django_db

ANN = Actor("ann", 7, ROLES["Operator"], None)
HTTP = {"transformer": "http", "options": {"url": "https://llm.example/v1"}}


def tiers(**members: Any) -> dict[str, Any]:
    return {"execution_rules": {"tiers": {"3": {**HTTP, **members}}}}


def perform_low(succeeded: int = 20, failed: int = 30, **members: Any) -> None:
    """Store a window that is worse than its baseline."""
    cycle_events.store(
        cycle_events.cycles(succeeded, failed, **members),
        cycle_events.cycles(97, 3, days_ago=12, **members),
    )


def proposed(by: Actor = ANN) -> list[StrategyProposal]:
    return [made.proposal for made in proposing.propose("daily", actor=by).made]


def by_rule() -> dict[str, StrategyProposal]:
    return {proposal.rule: proposal for proposal in proposed()}


@pytest.fixture(autouse=True)
def endpoints(settings: Any) -> None:
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["llm.example"]
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9", other="http://127.0.0.1:9")


def test_short_waits_of_a_failing_tier_are_raised_and_the_rationale_has_the_numbers() -> None:
    store_profiles([profile(**tiers(max_attempts=4, backoff_base=0.2))], [run_profile()])
    perform_low()
    recorded_cycles.record(30, tier=(3, False, 4), status="failed")
    recorded_cycles.record(12, tier=(3, True, 3))
    recorded_cycles.record(8)
    (proposal,) = proposed()
    assert (proposal.rule, proposal.title) == ("raise_backoff", "Raise back-off for daily")
    assert proposal.patch == [
        {"op": "replace", "path": "/execution_rules/tiers/3/backoff_base", "value": 2.0}
    ]
    for words in (
        "daily succeeded in eu in 40 % of 50 cycles since ",
        "; before, in 97 % of 100. The 95 % intervals (28–54 %, 92–99 %) do not meet.",
        "Tier 3 failed in 30 of the last 50 cycles, although it makes up to 4 attempts; "
        "the waits between them add up to 1.4 s. In 12 cycles a later attempt succeeded.",
        "low_performance, confidence 1.0000",
    ):
        assert words in proposal.rationale
    forecast = forecasts.parse(proposal.forecast)
    assert (forecast.value, forecast.target) == (0.4, 0.7)
    assert (proposal.author, proposal.author_user, proposal.requested_by) == ("orbit", None, "ann")
    assert proposal.evidence["numbers"]["failed"] == 30
    assert proposal.evidence["signal"]["id"] == str(proposal.signal_id)


def test_attempts_in_vain_are_lowered_if_the_waits_were_long() -> None:
    store_profiles([profile(**tiers(max_attempts=4, backoff_base=20))], [run_profile()])
    perform_low()
    recorded_cycles.record(30, tier=(3, False, 4), status="failed")
    recorded_cycles.record(20)
    (proposal,) = proposed()
    assert proposal.rule == "lower_attempts"
    assert proposal.patch == [
        {"op": "replace", "path": "/execution_rules/tiers/3/max_attempts", "value": 2}
    ]
    assert proposal.forecast is None


def test_a_target_that_alone_fails_is_disabled_and_retries_in_vain_are_lowered() -> None:
    both = {
        "distribution_targets": ["default-endpoint", "other"],
        "execution_policy": {"max_dispatch_retries": 3},
    }
    store_profiles([profile()], [run_profile(**both)])
    perform_low()
    recorded_cycles.record(
        30,
        deliveries=[("default-endpoint", True, 1), ("other", False, 4)],
        status="partial_success",
    )
    recorded_cycles.record(20, deliveries=[("default-endpoint", True, 1), ("other", True, 1)])
    found = by_rule()
    assert found.keys() == {"disable_target", "lower_retries"}
    target = found["disable_target"]
    assert (target.run_profile_id, target.profile_id) == ("daily-eu", "daily")
    assert target.patch == [{"op": "remove", "path": "/distribution_targets/1"}]
    assert "other got 20 of its last 50 deliveries, the other targets 100 %" in target.rationale
    assert "The most frequent failure is HTTP 503. 30 cycles failed for nothing else." in (
        target.rationale
    )
    assert forecasts.parse(target.forecast).target == 0.94
    assert found["lower_retries"].patch == [
        {"op": "replace", "path": "/execution_policy/max_dispatch_retries", "value": 1}
    ]


def test_a_cron_moves_off_a_busy_minute_if_the_profile_became_slower() -> None:
    busy = [run_profile(f"other-{number}", "other") for number in range(6)]
    store_profiles(
        [profile(), profile("other")],
        [run_profile(execution_policy={"cron": "0 6 * * *", "time_zone": "Asia/Kolkata"}), *busy],
    )
    cycle_events.store(
        *(cycle_events.cycles(1, duration_ms=900 + number) for number in range(30)),
        *(cycle_events.cycles(1, duration_ms=100 + number, days_ago=12) for number in range(60)),
    )
    # 06:00 in Kolkata is half past an hour of UTC.
    half_past = cycle_events.ago(1).replace(minute=30, second=1)
    for number in range(6):
        recorded_cycles.record(
            2,
            run_profile_id=f"other-{number}",
            profile_id="other",
            trigger="cron",
            created_at=half_past,
        )
    (proposal,) = proposed()
    assert proposal.rule == "move_cron"
    assert proposal.patch == [
        {"op": "replace", "path": "/execution_policy/cron", "value": "1 6 * * *"}
    ]
    assert "12 other cycles of 6 run profiles lately" in proposal.rationale
    assert forecasts.parse(proposal.forecast).measure == "latency_ms"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"execution_rules": {}},
        {"execution_rules": {"tiers": {"3": {"transformer": "passthrough"}}}},
        tiers(max_attempts=1),
    ],
)
def test_whatever_the_document_says_there_is_a_proposal(members: dict[str, Any]) -> None:
    store_profiles([profile(**members)], [run_profile()])
    perform_low()
    recorded_cycles.record(30, tier=(3, False, 1), status="failed")
    (proposal,) = proposed()
    assert (proposal.rule, proposal.forecast) == ("disable_profile", None)
    assert proposal.patch == [{"op": "replace", "path": "/state", "value": "disabled"}]
    assert "the last 30 cycles of the current revision" in proposal.rationale


def low_by_failures() -> None:
    perform_low()


def low_by_partial_successes() -> None:
    cycle_events.store([cycle_events.finished("partial_success") for _ in range(14)])


def low_by_latency() -> None:
    cycle_events.store(
        *(cycle_events.cycles(1, duration_ms=900 + number) for number in range(30)),
        *(cycle_events.cycles(1, duration_ms=100 + number, days_ago=12) for number in range(60)),
    )


def low_beside_others() -> None:
    cycle_events.store(
        cycle_events.cycles(180, 20),
        cycle_events.cycles(200, profile_id="other"),
    )


@pytest.mark.parametrize(
    "run_members",
    [
        {"state": "disabled"},
        {"execution_policy": {"max_dispatch_retries": 0}},
        {"distribution_targets": ["other"], "execution_policy": {"cron": "*/5 * * * *"}},
        None,
    ],
    ids=["disabled", "no retries", "one target", "no run profile"],
)
@pytest.mark.parametrize("low", [low_by_failures, low_by_partial_successes, low_by_latency])
@pytest.mark.parametrize("dead", [True, False])
def test_however_it_performs_low_there_is_a_proposal(
    low: Callable[[], None], run_members: dict[str, Any] | None, dead: bool
) -> None:
    runs = [run_profile(**(run_members or {}))]
    store_profiles([profile(**tiers(max_attempts=1))], runs)
    if run_members is None:
        RunProfile.objects.update(hidden=True)
    low()
    if dead:
        recorded_cycles.record(14, deliveries=[("other", False, 1)], status="partial_success")
    assert {proposal.state for proposal in proposed()} == {"pending"}


def test_a_profile_that_is_worse_than_others_gets_a_proposal() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    low_beside_others()
    assert len(proposed()) == 1


def test_a_document_that_no_longer_fits_can_still_be_disabled() -> None:
    store_profiles([profile(**tiers(max_attempts=3, backoff_base=0.2))], [run_profile()])
    row = Profile.objects.get()
    row.document["execution_rules"]["tiers"]["3"]["transformer"] = "gone"
    row.save()
    perform_low()
    recorded_cycles.record(30, tier=(3, False, 3), status="failed")
    (proposal,) = proposed()
    assert proposal.rule == "disable_profile"
    assert "What raise_backoff would change can't be applied: the document has" in (
        proposal.rationale
    )


def test_cycles_of_an_earlier_revision_say_nothing_of_the_current_one() -> None:
    store_profiles([profile(**tiers(max_attempts=4, backoff_base=0.2))], [run_profile()])
    perform_low()
    recorded_cycles.record(30, tier=(3, False, 4), status="failed")
    store_profiles([profile(**tiers(max_attempts=4, backoff_base=2))], [])
    (proposal,) = proposed()
    assert proposal.rule == "disable_profile"


def test_asked_again_the_same_proposals_are_answered_and_signals_are_reused() -> None:
    store_profiles([profile()], [run_profile()])
    perform_low()
    first = proposing.propose("daily", actor=ANN)
    again = proposing.propose("daily", actor=ANN)
    assert [made.proposal.id for made in first.made] == [made.proposal.id for made in again.made]
    assert ([made.created for made in first.made], [made.created for made in again.made]) == (
        [True],
        [False],
    )
    assert AdvisorySignal.objects.count() == 1
    assert AuditTrailEntry.objects.filter(action="proposal.created").count() == 1


def test_cycles_since_the_newest_signal_count() -> None:
    store_profiles([profile()], [run_profile()])
    cycle_events.store(cycle_events.cycles(2))
    assert not proposed()  # 2 cycles are too few
    cycle_events.store(cycle_events.cycles(0, 14))
    assert len(proposed()) == 1
    assert len(proposed()) == 1
    assert AdvisorySignal.objects.count() == 2


def test_neither_old_signals_nor_those_of_an_old_window_are_reused(monkeypatch: Any) -> None:
    store_profiles([profile()], [run_profile()])
    cycle_events.store(cycle_events.cycles(0, 14, days_ago=12), cycle_events.cycles(100))
    window = windows.choose(start=cycle_events.ago(13), end=cycle_events.ago(11))
    computing.compute_and_act(actor=ANN, profile_id="daily", window=window)
    assert AdvisorySignal.objects.get().signal == "low_performance"
    assert proposing.propose("daily", actor=ANN).reason.endswith("elevated_performance.")
    cycle_events.store(cycle_events.cycles(0, 300))
    assert proposed()
    monkeypatch.setattr(generate, "FRESH", timedelta(0))
    assert proposed()
    assert AdvisorySignal.objects.count() == 4


def test_one_change_that_helps_in_two_namespaces_is_one_proposal() -> None:
    store_profiles([profile()], [run_profile(), run_profile("daily-us", namespace="us")])
    perform_low()
    perform_low(namespace="us")
    assert len(proposed()) == 1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "No signal says low_performance: stable."),
        ({"state": "disabled"}, "The profile is disabled already."),
    ],
)
def test_without_low_performance_or_disabled_there_is_none_and_why(
    members: dict[str, Any], reason: str
) -> None:
    store_profiles([profile(**members)], [run_profile()])
    cycle_events.store(cycle_events.cycles(100))
    assert proposing.propose("daily", actor=ANN) == Generated([], reason)


def test_who_may_generate() -> None:
    store_profiles([profile()], [run_profile()])
    with pytest.raises(NotAllowed):
        proposing.propose("daily", actor=Actor("con", 1, ROLES["Configurator"], None))
    with pytest.raises(ProfileUnknown):
        proposing.propose("daily", actor=Actor("us", 1, ROLES["Operator"], frozenset({"us"})))
    with pytest.raises(ProfileUnknown):
        generate.generate("nightly", signals=[], actor=SYSTEM)


def test_a_member_is_put_with_its_missing_parents() -> None:
    assert rules.put({}, ("a", "b", "c"), 1) == [
        {"op": "add", "path": "/a", "value": {"b": {"c": 1}}}
    ]
    assert rules.put({"a": {}}, ("a", "b/c"), 1) == [{"op": "add", "path": "/a/b~1c", "value": 1}]
    assert rules.put({"a": {"b": 2}}, ("a", "b"), 1) == [
        {"op": "replace", "path": "/a/b", "value": 1}
    ]
