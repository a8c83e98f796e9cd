"""What measures say: the decision as a table."""

import pytest

from advisory.signals import assess
from advisory.signals.assess import FLOOR, Question
from advisory.signals.measures import Cycles, Latencies, Measures
from advisory.states import SignalKind

LOW, STABLE = SignalKind.LOW, SignalKind.STABLE
ELEVATED, INSUFFICIENT = SignalKind.ELEVATED, SignalKind.INSUFFICIENT


def of(succeeded: int, failed: int, partial: int = 0, cancelled: int = 0) -> Cycles:
    return Cycles(succeeded, partial, failed, cancelled)


def shifted(p50: float, p50_before: float, count: int = 50) -> Latencies:
    """Return latencies of which the window's are all greater, or all less."""
    greater = p50 > p50_before
    rank_sum = count * (count + 1) / 2 + (count * count if greater else 0)
    return Latencies(count, count, p50, p50, p50_before, p50_before, rank_sum, 0.0)


@pytest.mark.parametrize(
    ("window", "baseline", "members", "signal", "rests_on"),
    [
        (of(0, 0), of(99, 1), {}, INSUFFICIENT, ""),
        (of(0, 9), of(99, 1), {}, INSUFFICIENT, ""),
        # Cancelled cycles don't count.
        (of(9, 0, cancelled=50), of(99, 1), {}, INSUFFICIENT, ""),
        (of(100, 0), of(100, 0), {}, STABLE, "equivalence"),
        (of(80, 20), of(990, 10), {}, LOW, Question.SUCCESS_LOWER),
        # A partial success is a failure.
        (of(80, 0, partial=20), of(990, 10), {}, LOW, Question.SUCCESS_LOWER),
        # 20 cycles can't tell.
        (of(17, 3), of(380, 20), {}, STABLE, "equivalence"),
        # Significant, but less than 5 points.
        (of(9_600, 400), of(9_900, 100), {}, STABLE, "equivalence"),
        # Exactly 5 points.
        (of(9_500, 500), of(10_000, 0), {}, LOW, Question.SUCCESS_LOWER),
        (of(99, 1), of(60, 40), {}, ELEVATED, Question.SUCCESS_HIGHER),
        # It was always like that, but no profile should be.
        (of(0, 100), of(0, 100), {}, LOW, Question.SUCCESS_BELOW_FLOOR),
        (of(0, 100), of(0, 0), {}, LOW, Question.SUCCESS_BELOW_FLOOR),
        (of(100, 0), of(0, 0), {}, STABLE, "above_floor"),
        # 9 cycles are no baseline.
        (of(91, 9), of(9, 0), {}, STABLE, "above_floor"),
        (of(92, 8), of(92, 8), {"others": 2, "others_succeeded": 1_000, "others_ended": 1_000},
         LOW, Question.SUCCESS_BELOW_OTHERS),
        # Better than the others is nothing that the profile did.
        (of(100, 0), of(100, 0), {"others": 1, "others_succeeded": 5, "others_ended": 100},
         STABLE, "equivalence"),
        (of(50, 0), of(50, 0), {"latencies": shifted(200, 100)}, LOW, Question.LATENCY_HIGHER),
        (of(50, 0), of(50, 0), {"latencies": shifted(50, 100)}, ELEVATED, Question.LATENCY_LOWER),
        (of(50, 0), of(50, 0), {"latencies": shifted(105, 100)}, STABLE, "equivalence"),
        # Slower and more reliable: worse.
        (of(100, 0), of(60, 40), {"latencies": shifted(200, 100)}, LOW, Question.LATENCY_HIGHER),
    ],
)  # fmt: skip
def test_the_decision(
    window: Cycles,
    baseline: Cycles,
    members: dict[str, object],
    signal: SignalKind,
    rests_on: str,
) -> None:
    item = Measures("p", "a", window, baseline, **members)  # type: ignore[arg-type]
    [assessment] = assess.assess([item])
    assert (assessment.signal, assessment.rests_on) == (signal, rests_on)
    assert 0 <= assessment.confidence <= 1


def test_the_confidence_of_a_difference_is_one_minus_its_adjusted_p() -> None:
    [assessment] = assess.assess([Measures("p", "a", of(85, 15), of(95, 5))])
    [test] = [test for test in assessment.tests if test.question == Question.SUCCESS_LOWER]
    # 3 tests, of which this has the second smallest p.
    assert test.p < test.adjusted_p
    assert assess.assess([Measures("p", "a", of(0, 9), of(95, 5))])[0].confidence == 0


def test_few_cycles_make_a_stable_that_is_not_sure() -> None:
    [few, many] = assess.assess(
        [
            Measures("few", "a", of(19, 1), of(380, 20)),
            Measures("many", "a", of(1_900, 100), of(3_800, 200)),
        ]
    )
    assert few.signal == many.signal == STABLE
    assert few.confidence < 0.6 < 0.99 < many.confidence


def test_many_other_tests_make_a_weak_difference_no_discovery() -> None:
    weak = Measures("weak", "a", of(84, 16), of(380, 20))
    assert assess.assess([weak])[0].signal == LOW
    others = [Measures(f"p{number}", "a", of(50, 0), of(50, 0)) for number in range(3_000)]
    assert assess.assess([weak, *others])[0].signal == STABLE


def test_a_comparison_that_cannot_be_made_says_why() -> None:
    [assessment] = assess.assess([Measures("p", "a", of(30, 0), of(3, 0))])
    reasons = {item.comparison: item.reason for item in assessment.impossible}
    assert reasons["success rate with baseline"].startswith("3 ended cycles in the baseline")
    assert reasons["latency with baseline"].startswith("0 successful cycles with a duration")
    assert reasons["success rate with others"].startswith("0 ended cycles of other profiles")
    assert [test.question for test in assessment.tests] == [Question.SUCCESS_BELOW_FLOOR]


def test_a_baseline_of_zero_milliseconds_has_no_relative_change() -> None:
    [assessment] = assess.assess(
        [Measures("p", "a", of(50, 0), of(50, 0), latencies=shifted(5, 0))]
    )
    assert "the median latency of the baseline is 0 ms" in {
        item.reason for item in assessment.impossible
    }


def test_a_profile_that_succeeds_less_than_the_floor_is_never_stable() -> None:
    for failed in range(20, 101, 10):
        [assessment] = assess.assess([Measures("p", "a", of(100 - failed, failed))])
        assert assessment.signal == LOW, failed
    assert FLOOR == 0.9
