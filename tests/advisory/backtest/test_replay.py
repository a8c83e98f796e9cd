"""One recorded cycle, without a database."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisory.backtest import changes, deliveries, replay, tiers
from advisory.backtest.changes import Settings
from advisory.backtest.deliveries import RecordedDelivery
from advisory.backtest.replay import Facts, RecordedCycle
from advisory.backtest.result import Range, Verdict
from advisory.backtest.tiers import RecordedTier
from advisory.backtest.unknowns import Unknown
from orbit.pipeline.rules import TierRule
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from orbit.states import Cycle, Job

ID = UUID("01a224cc-3c42-73cf-8f96-3ee20b51ed54")


def tier_rule(**members: Any) -> TierRule:
    return TierRule("http", **members)


@pytest.mark.parametrize(
    ("recorded", "own", "new", "ok", "attempts", "unknown"),
    [
        # It answered after the new time-out, and was the last attempt, or could be repeated.
        ((True, 1, [5.0]), (1, 9), (1, 2), False, Range.of(1), None),
        ((True, 1, [5.0]), (3, 9), (3, 2), None, Range(1, 3), Unknown.TIER_CUT_OFF),
        ((True, 1, [5.0]), (3, 9), (3, 6), True, Range.of(1), None),
        # It ran into its time-out, and has more now; or failed before for another reason.
        ((False, 2, [9.0, 0.1]), (2, 9), (2, 20), None, Range(1, 2), Unknown.TIER_TIMED_OUT),
        ((False, 2, [0.1, 9.0]), (2, 9), (2, 20), None, Range(2, 2), Unknown.TIER_TIMED_OUT),
        ((False, 2, [9.0, 9.0]), (2, 9), (2, 3), False, Range.of(2), None),
        ((False, 2, [0.1, 0.1]), (2, 9), (2, 20), False, Range.of(2), None),
        ((True, 1, None), (3, 9), (3, 2), None, Range(1, 3), Unknown.TIER_TIMES),
        # It failed for good at its first attempt: more attempts change nothing.
        ((False, 1, None), (3, 9), (7, 9), False, Range.of(1), None),
        ((False, 3, None), (3, 9), (7, 9), None, Range(4, 7), Unknown.TIER_EXHAUSTED),
        ((False, 3, None), (3, 9), (2, 9), False, Range.of(2), None),
        ((True, 3, None), (3, 9), (2, 9), False, Range.of(2), None),
    ],
)
def test_a_tier(
    recorded: tuple[bool, int, list[float] | None],
    own: tuple[int, float],
    new: tuple[int, float],
    ok: bool | None,
    attempts: Range,
    unknown: Unknown | None,
) -> None:
    success, number, durations = recorded
    tier = RecordedTier(2, "http", success, number, success, 10 if success else None, durations)
    before, after = (tier_rule(max_attempts=most, timeout=seconds) for most, seconds in (own, new))
    result = tiers.replay(ID, tier, before, after, timed=True)
    assert (result.ok, result.attempts, result.unknown) == (ok, attempts, unknown)
    # A tier that waits for nothing has no time-out.
    if before.max_attempts == after.max_attempts:
        untimed = tiers.replay(ID, tier, before, after, timed=False)
        assert (untimed.ok, untimed.attempts) == (success, Range.of(number))


@pytest.mark.parametrize(
    ("status", "spent", "reason", "has_unknown", "retries", "expected"),
    [
        (Job.DELIVERED, 2, "", False, 2, (True, False, 3, 3)),
        (Job.DELIVERED, 2, "", False, 1, (False, True, 2, 2)),
        (Job.DELIVERED, 2, "", True, 1, (None, None, 2, 3)),
        (Job.DELIVERED, 2, "", False, 9, (True, False, 3, 3)),
        (Job.DEAD, 4, "retries_exhausted", False, 0, (False, True, 1, 1)),
        (Job.DEAD, 4, "retries_exhausted", False, 5, (None, None, 5, 6)),
        (Job.DEAD, 2, "status_410", False, 5, (False, True, 2, 2)),
        (Job.DEAD, 2, "status_410", False, 1, (False, True, 2, 2)),
        (Job.DEAD, 2, "status_410", False, 0, (False, True, 1, 1)),
        (Job.PENDING, 1, "", False, 2, (False, False, 1, 1)),
        (Job.CANCELLED, 1, "", False, 2, (False, False, 1, 1)),
    ],
)
def test_a_delivery(
    status: Job,
    spent: int,
    reason: str,
    has_unknown: bool,
    retries: int,
    expected: tuple[bool | None, bool | None, int, int],
) -> None:
    requests = spent + (status == Job.DELIVERED)
    recorded = RecordedDelivery(1, "a", status, requests, spent, 3, reason, has_unknown)
    result = deliveries.replay(ID, recorded, retries)
    least, most = result.requests.least, result.requests.most
    assert (result.delivered, result.dead, least, most) == expected


def consistent_tiers() -> st.SearchStrategy[tuple[TierRule, RecordedTier]]:
    """Return rules, and tiers that may have run by them."""

    @st.composite
    def build(draw: st.DrawFn) -> tuple[TierRule, RecordedTier]:
        most = draw(st.integers(1, 10))
        attempts = draw(st.integers(1, most))
        ok, timeout = draw(st.booleans()), draw(st.sampled_from([1, 30.0, 60]))
        size = draw(st.none() | st.integers(0, 2**20)) if ok else None
        took = draw(st.none() | st.lists(st.floats(0, 90), min_size=attempts, max_size=attempts))
        name = draw(st.sampled_from(["http", "passthrough", "gone"]))
        rule = TierRule(name, {}, most, draw(st.floats(0.001, 60)), timeout)
        return rule, RecordedTier(0, name, ok, attempts, ok and draw(st.booleans()), size, took)

    return build()


def consistent_deliveries(tier: int) -> st.SearchStrategy[RecordedDelivery]:
    """Return deliveries of a tier to `a` or `b`."""

    @st.composite
    def build(draw: st.DrawFn) -> RecordedDelivery:
        retries = draw(st.integers(0, 5))
        status = draw(st.sampled_from(list(Job)))
        exhausted = status == Job.DEAD and draw(st.booleans())
        spent = retries + 1 if exhausted else draw(st.integers(0, retries))
        return RecordedDelivery(
            tier,
            draw(st.sampled_from(["a", "b"])),
            status,
            spent + (status == Job.DELIVERED),
            spent,
            retries,
            "retries_exhausted" if exhausted else "",
            draw(st.booleans()),
        )

    return build()


@st.composite
def cycles(draw: st.DrawFn) -> RecordedCycle:
    """Return a cycle that may be on record."""
    drawn = {tier: draw(consistent_tiers()) for tier in (1, 2, 3)}
    return RecordedCycle(
        draw(st.uuids()),
        "a",
        "r1",
        str(draw(st.sampled_from([Cycle.SUCCESS, Cycle.PARTIAL_SUCCESS, Cycle.FAILED]))),
        "rest",
        None,
        datetime(2026, 3, 1, tzinfo=UTC),
        draw(st.booleans()),
        Settings({tier: rule for tier, (rule, _) in drawn.items()}, None, ["a", "b"]),
        "passthrough",
        tiers={
            tier: RecordedTier(
                tier,
                row.transformer,
                row.ok,
                row.attempts,
                row.has_item,
                row.size,
                row.durations,
            )
            for tier, (_, row) in drawn.items()
        },
        deliveries=[
            draw(consistent_deliveries(tier))
            for tier, (_, row) in drawn.items()
            if row.has_item
            for _ in range(draw(st.integers(0, 2)))
        ],
    )


FEW = settings(max_examples=40)
BASE = {"profile_id": "p1", "label": "P1", "state": "enabled"}
#: What changes nothing that a cycle ran with.
NOTHING: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (PROFILE, BASE, {**BASE, "label": "New"}),
    (PROFILE, BASE, {**BASE, "style_vector": {}}),
    (PROFILE, BASE, {**BASE, "execution_rules": {"tiers": {"2": {"transformer": "passthrough"}}}}),
    (PROFILE, {**BASE, "state": "disabled"}, BASE),
    (
        RUN_PROFILE,
        {"distribution_targets": ["a", "b"], "state": "enabled"},
        {"distribution_targets": ["b", "a"], "state": "enabled", "execution_policy": {}},
    ),
]


@FEW
@given(cycle=cycles(), documents=st.sampled_from(NOTHING))
def test_a_patch_that_changes_nothing_on_record_makes_no_difference(
    cycle: RecordedCycle, documents: tuple[Any, dict[str, Any], dict[str, Any]]
) -> None:
    patch = changes.between(*documents)
    result = replay.replay(cycle, Facts(patch, {"a", "b"}, lambda name: name != "passthrough"))
    assert result.verdict == Verdict.SAME
    assert result.why == ()
    assert result.would_be == (cycle.status,)
    assert [name for name, figure in result.figures.items() if figure.changes] == []


@FEW
@given(cycle=cycles(), most=st.integers(1, 10), retries=st.integers(0, 9))
def test_bounds_are_in_order_and_hold_what_a_cycle_can_do(
    cycle: RecordedCycle, most: int, retries: int
) -> None:
    tier = {"transformer": "http", "max_attempts": most}
    after = {**BASE, "execution_rules": {"tiers": {"2": tier}}}
    before = {**BASE, "execution_rules": {"tiers": {"2": {"transformer": "http"}}}}
    policy = {"execution_policy": {"max_dispatch_retries": retries}}
    for patch in (
        changes.between(PROFILE, before, after),
        changes.between(RUN_PROFILE, {"state": "enabled"}, {"state": "enabled", **policy}),
    ):
        result = replay.replay(cycle, Facts(patch, {"a", "b"}, lambda name: name == "http"))
        for figure in result.figures.values():
            assert figure.after.most is None or 0 <= figure.after.least <= figure.after.most
        assert (result.figures["tiers_succeeded"].after.most or 0) <= 3
        assert result.verdict == Verdict.SAME or result.why
