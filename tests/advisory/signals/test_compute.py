"""Signals, from events to rows."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError

from advisory.errors import SignalUnknown
from advisory.models import AdvisorySignal, SignalComputation
from advisory.signals import compute, reading, windows
from advisory.signals.windows import WindowInvalid
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import Scope
from governance.kernel import clock
from governance.models import AuditTrailEntry
from orbit.errors import ProfileUnknown
from orbit.models import Profile
from telemetry import database
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.cycle_events import ago, cycles, delivered, finished, store

pytestmark = pytest.mark.django_db(databases="__all__")


def confined(*namespaces: str, scope: Scope = Scope.OPERATE) -> Actor:
    return Actor("ann", 1, frozenset({Scope.READ, scope}), frozenset(namespaces))


def signals(**options: Any) -> dict[tuple[str, str | None], AdvisorySignal]:
    computation = compute.compute(**{"actor": SYSTEM, **options})
    return {(row.profile_id, row.namespace): row for row in computation.signals}


def test_a_profile_that_got_worse_is_low_and_one_that_did_not_is_stable() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    store(
        cycles(30, 20, days_ago=2),
        cycles(100, 1, days_ago=20),
        cycles(50, 1, profile_id="other"),
        cycles(60, 1, profile_id="other", days_ago=9),
    )
    computed = signals()
    worse, other = computed["daily", "eu"], computed["other", "eu"]
    assert (worse.signal, other.signal) == ("low_performance", "stable")
    assert worse.confidence > 0.99
    assert "60.0% of 50 cycles succeeded, after 99.0% of 101 before." in worse.recommendation
    assert worse.evidence["others"]["ended"] == 51
    assert len(worse.evidence["cycles"]["not_succeeded"]) == 5
    assert not other.evidence["cycles"]["not_succeeded"]


def test_what_is_computed_is_stored_with_one_audit_entry() -> None:
    store_profiles([profile()], [run_profile()])
    store(cycles(30, 0))
    computation = compute.compute(actor=SYSTEM)
    [row] = computation.signals
    stored = AdvisorySignal.objects.get()
    assert (stored.pk, stored.evidence, stored.computation_id) == (
        row.pk,
        row.evidence,
        SignalComputation.objects.get().pk,
    )
    assert row.created_at == stored.created_at
    entry = AuditTrailEntry.objects.get(action="signals.computed")
    assert (entry.object_id, entry.namespace) == (str(computation.row.pk), "eu")


def test_latencies_are_ranked_and_summed_up_like_the_values_themselves() -> None:
    store_profiles([profile()], [run_profile()])
    now, before = [300.0, 100.0, 300.0, 500.0] * 5, [100.0, 200.0, 300.0] * 7
    store(
        [finished(duration_ms=value) for value in now],
        [finished(duration_ms=value, days_ago=10) for value in before],
        # A failed cycle's duration isn't a latency.
        finished("failed", duration_ms=9_000.0),
    )
    [item] = measures()
    both = sorted(now + before)
    ranks = {value: both.index(value) + (both.count(value) + 1) / 2 for value in both}
    assert item.latencies.count == 20
    assert item.latencies.count_before == 21
    assert item.latencies.rank_sum == sum(ranks[value] for value in now)
    assert item.latencies.ties == sum(both.count(v) ** 3 - both.count(v) for v in set(both))
    assert (item.latencies.p50, item.latencies.p95) == (300.0, 500.0)
    assert (item.latencies.p50_before, item.latencies.p95_before) == (200.0, 300.0)


def measures() -> list[Any]:
    return compute.measure(windows.choose()).measures


def test_deliveries_are_counted_by_endpoint_the_worst_first() -> None:
    store_profiles([profile()], [run_profile()])
    store(
        [
            delivered(),
            delivered(attempt=2),
            delivered("failed", endpoint_key="bad"),
            delivered("failed", endpoint_key="bad", days_ago=10),
        ]
    )
    deliveries = signals()["daily", "eu"].evidence["deliveries"]
    assert deliveries["window"] == {
        "confirmed": 2,
        "confirmed_at_once": 1,
        "failed_attempts": 1,
    }
    assert [worst["endpoint_key"] for worst in deliveries["worst_endpoints"]] == [
        "bad",
        "receiver",
    ]


def test_what_cannot_be_judged_is_left_out_and_counted() -> None:
    store_profiles([profile()], [run_profile()])
    store(
        cycles(20, 0),
        finished(None),
        finished("nonsense"),
        finished(duration_ms=float("inf")),
        finished(duration_ms=float("nan")),
        finished(duration_ms=None),
        finished(occurred_at=ago(-0.5)),
        finished(profile_id=None),
        finished(namespace=None),
        finished(profile_id="gone"),
    )
    computation = compute.compute(actor=SYSTEM)
    [row] = computation.signals
    assert row.evidence["excluded"] == {
        "without_status": 2,
        "invalid_duration": 2,
        "without_duration": 1,
        "in_future": 1,
    }
    # They are successes without a latency.
    assert row.evidence["window"]["succeeded"] == 23
    assert row.evidence["latency_ms"]["window"] == {"cycles": 20, "p50": 100.0, "p95": 100.0}
    assert computation.row.excluded == {
        "without_profile": 1,
        "without_namespace": 1,
        "profiles_not_configured": 1,
        "profiles_not_configured_named": ["gone"],
    }
    # JSON knows neither NaN nor infinity.
    json.dumps(row.evidence, allow_nan=False)


def test_durations_that_are_too_far_apart_to_be_true_cost_no_other_profile_its_signal() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    store(
        [finished(duration_ms=1e308) for _ in range(10)],
        [finished(duration_ms=1e-300, days_ago=10) for _ in range(10)],
        cycles(20, 0, profile_id="other"),
    )
    computed = signals()
    assert {row.signal for row in computed.values()} == {"stable"}
    assert computed["daily", "eu"].evidence["impossible"][0] == {
        "comparison": "latency with baseline",
        "reason": "the median latencies are too far apart to be true",
    }


def test_only_who_may_take_long_reads_telemetry_for_ten_minutes() -> None:
    store_profiles([profile()], [run_profile()])
    store(cycles(0, 20))
    assert limits_after(may_take_long=False).isdisjoint({"10min"})
    assert limits_after(may_take_long=True) == {"10min"}


def limits_after(*, may_take_long: bool) -> set[str]:
    """Return the limits of the transaction of telemetry, which the test is one of."""
    compute.compute(actor=SYSTEM, may_take_long=may_take_long)
    with database.connection().cursor() as cursor:
        cursor.execute(
            "SELECT unnest(ARRAY[current_setting('statement_timeout'), "
            "current_setting('idle_in_transaction_session_timeout')])"
        )
        return {limit for (limit,) in cursor.fetchall()}


def test_no_event_has_a_negative_duration() -> None:
    with pytest.raises(IntegrityError):
        store(finished(duration_ms=-5.0))


def test_cancelled_cycles_are_counted_and_nothing_else() -> None:
    store_profiles([profile()], [run_profile()])
    store(cycles(20, 0), [finished("cancelled") for _ in range(9)])
    window = signals()["daily", "eu"].evidence["window"]
    assert (window["cancelled"], window["ended"], window["success_rate"]) == (9, 20, 1.0)


def test_a_profile_that_never_ran_has_insufficient_data_in_each_namespace() -> None:
    store_profiles(
        [profile(), profile("idle")],
        [run_profile(), run_profile("daily-us", "daily", "us")],
    )
    computed = signals()
    assert set(computed) == {("daily", "eu"), ("daily", "us"), ("idle", None)}
    assert {(row.signal, row.confidence) for row in computed.values()} == {
        ("insufficient_data", 0.0)
    }


def test_an_empty_installation_has_no_signals() -> None:
    assert signals() == {}
    assert SignalComputation.objects.get().signals == 0


def test_a_computation_of_one_profile_leaves_the_others_out_but_compares_with_them() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    store(cycles(20, 0), cycles(30, 0, profile_id="other"), finished(profile_id="gone"))
    computed = signals(profile_id="daily")
    assert set(computed) == {("daily", "eu")}
    assert computed["daily", "eu"].evidence["others"]["ended"] == 31


def test_a_confined_actor_gets_its_namespaces_and_no_number_of_another() -> None:
    store_profiles(
        [profile(), profile("theirs")],
        [run_profile(), run_profile("us", "daily", "us"), run_profile("t", "theirs", "us")],
    )
    store(
        cycles(20, 0),
        cycles(0, 30, namespace="us"),
        finished(namespace="us", occurred_at=ago(-0.5)),
        finished(namespace="us", profile_id="gone"),
        finished(namespace=None),
    )
    actor = confined("eu")
    computation = compute.compute(actor=actor)
    [row] = computation.signals
    assert (row.namespace, row.signal, row.evidence["others"]["ended"]) == ("eu", "stable", 0)
    assert computation.row.excluded == {}
    with pytest.raises(ProfileUnknown):
        compute.compute(actor=actor, profile_id="theirs")
    everything = signals()
    with pytest.raises(SignalUnknown):
        reading.find(everything["daily", "us"].pk, actor=actor)
    assert reading.find(row.pk, actor=actor).computation == computation.row
    assert set(reading.visible_to(actor).values_list("namespace", flat=True)) == {"eu"}


def test_a_hidden_profile_has_no_signal_and_is_named() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    store(cycles(20, 0))
    Profile.objects.filter(profile_id="daily").update(hidden=True)
    computation = compute.compute(actor=SYSTEM)
    assert [row.profile_id for row in computation.signals] == ["other"]
    assert computation.row.excluded["profiles_not_configured_named"] == ["daily"]
    with pytest.raises(ProfileUnknown):
        compute.compute(actor=SYSTEM, profile_id="daily")


def test_computing_needs_one_of_two_scopes() -> None:
    for scope in (Scope.OPERATE, Scope.REVIEW):
        compute.compute(actor=confined("eu", scope=scope))
    with pytest.raises(NotAllowed, match="operate or review"):
        compute.compute(actor=confined("eu", scope=Scope.CONFIGURE))


def test_an_unknown_profile_is_refused_and_leaves_nothing() -> None:
    for name in ("nowhere", "", "nul\x00"):
        with pytest.raises(ProfileUnknown):
            compute.compute(actor=SYSTEM, profile_id=name)
    assert not SignalComputation.objects.exists()
    with pytest.raises(SignalUnknown):
        reading.find(uuid4(), actor=SYSTEM)


@pytest.mark.parametrize(
    ("times", "pointer", "words"),
    [
        ({"start": 3.0, "end": 3.0}, "/to", "is empty"),
        ({"start": 2.0, "end": 3.0}, "/to", "is empty"),
        ({"end": -1.0}, "/to", "is in the future"),
        ({"start": -1.0}, "/to", "is empty"),
        ({"start": 40.0}, "/from", "telemetry keeps 30 days"),
        ({"baseline_start": 40.0}, "/baseline_from", "telemetry keeps 30 days"),
        ({"start": 5.0, "baseline_start": 4.0}, "/baseline_from", "begins after the window"),
        ({"end": 40.0}, "/to", "telemetry keeps 30 days"),
    ],
)
def test_a_window_that_says_nothing_is_refused(
    times: dict[str, float], pointer: str, words: str
) -> None:
    now = clock.read()
    with pytest.raises(WindowInvalid, match=words) as refused:
        windows.choose(**{name: now - timedelta(days=days) for name, days in times.items()})
    assert refused.value.errors[0]["pointer"] == pointer


def test_the_usual_window_is_a_week_and_the_three_before() -> None:
    window = windows.choose()
    assert window.end - window.start == timedelta(days=7)
    assert window.start - window.baseline_start == timedelta(days=21)


def test_the_usual_window_fits_into_what_telemetry_keeps(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_RETENTION_DAYS = 2
    window = windows.choose()
    assert window.end - window.start == timedelta(hours=12)
    assert timedelta(days=1) < window.start - window.baseline_start <= timedelta(days=3)
