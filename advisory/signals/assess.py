"""Decide what measures say: the tests, the control of false discoveries, the signal.

Pure functions. docs/advice.md, "The method", has the same in words, with the sources.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from advisory.signals.measures import Cycles, Measures
from advisory.states import SignalKind
from advisory.statistics import (
    binomial,
    equivalence,
    false_discovery,
    fisher,
    mann_whitney,
    wilson,
)

#: Fewer ended cycles than this aren't judged, nor compared with.
LEAST_CYCLES = 10
#: The largest share of false discoveries among all discoveries of a computation.
ALPHA = 0.05
#: A difference below this isn't worth a signal, however sure it is.
LEAST_RATE_CHANGE, LEAST_LATENCY_CHANGE = 0.05, 0.10
#: A profile whose success rate is surely below this is never called stable.
FLOOR = 0.90


class Question(StrEnum):
    """What is asked. The first four ask whether the profile does worse, the others better."""

    SUCCESS_LOWER = "success_rate_lower_than_baseline"
    LATENCY_HIGHER = "latency_higher_than_baseline"
    SUCCESS_BELOW_OTHERS = "success_rate_lower_than_others"
    SUCCESS_BELOW_FLOOR = "success_rate_below_floor"
    SUCCESS_HIGHER = "success_rate_higher_than_baseline"
    LATENCY_LOWER = "latency_lower_than_baseline"


#: What ``low_performance`` and ``elevated_performance`` rest on. Doing better than the others of a
#: namespace is nothing that the profile did: the others may have become worse.
WORSE = (
    Question.SUCCESS_LOWER,
    Question.LATENCY_HIGHER,
    Question.SUCCESS_BELOW_OTHERS,
    Question.SUCCESS_BELOW_FLOOR,
)
BETTER = (Question.SUCCESS_HIGHER, Question.LATENCY_LOWER)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one test.

    ``effect`` is the difference; that of the latency is relative to the baseline's.
    """

    question: Question
    p: float
    effect: float
    least_effect: float
    large_enough: bool
    adjusted_p: float = 1.0

    @property
    def found(self) -> bool:
        """Whether the difference is both significant and large enough."""
        return self.adjusted_p <= ALPHA and self.large_enough


@dataclass(frozen=True, slots=True)
class Impossible:
    """A comparison that couldn't be made, and why."""

    comparison: str
    reason: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the measures of one profile in one namespace say."""

    measures: Measures
    signal: SignalKind
    confidence: float
    #: What the confidence comes from: a test, ``equivalence`` or ``above_floor``; empty if none.
    rests_on: str
    tests: tuple[Answer, ...]
    impossible: tuple[Impossible, ...]
    #: How many tests the false-discovery control ran over.
    tests_in_computation: int


def assess(measures: Sequence[Measures]) -> list[Assessment]:
    """Return what each of ``measures`` says; false discoveries are controlled over all of them."""
    tested = [run_tests(item) for item in measures]
    adjusted = iter(false_discovery.adjust([test.p for tests, _ in tested for test in tests]))
    total = sum(len(tests) for tests, _ in tested)
    return [
        _assessment(
            item,
            tuple(replace(test, adjusted_p=next(adjusted)) for test in tests),
            impossible,
            total,
        )
        for item, (tests, impossible) in zip(measures, tested, strict=True)
    ]


def run_tests(item: Measures) -> tuple[tuple[Answer, ...], tuple[Impossible, ...]]:
    """Return the tests that are possible, not yet adjusted, and the others with the reason."""
    if item.window.ended < LEAST_CYCLES:
        reason = f"{item.window.ended} ended cycles in the window, of at least {LEAST_CYCLES}"
        return (), (Impossible("all", reason),)
    tests, impossible = [_below_floor(item)], []
    for name, answers, reason in (
        ("success rate with baseline", *_success_by_baseline(item)),
        ("latency with baseline", *_latency_by_baseline(item)),
        ("success rate with others", *_success_by_others(item)),
    ):
        tests += answers
        if reason:
            impossible.append(Impossible(name, reason))
    return tuple(tests), tuple(impossible)


def rate(cycles: Cycles) -> float | None:
    """Return the share of successes among ended cycles; None without any."""
    return cycles.succeeded / cycles.ended if cycles.ended else None


def _below_floor(item: Measures) -> Answer:
    succeeded, ended = item.window.succeeded, item.window.ended
    _, high = wilson.interval(succeeded, ended)
    return Answer(
        Question.SUCCESS_BELOW_FLOOR,
        p=binomial.lower(succeeded, ended, FLOOR),
        effect=succeeded / ended - FLOOR,
        least_effect=0.0,
        large_enough=high < FLOOR,
    )


def _success_by_baseline(item: Measures) -> tuple[list[Answer], str]:
    now, before = item.window, item.baseline
    if before.ended < LEAST_CYCLES:
        return [], f"{before.ended} ended cycles in the baseline, of at least {LEAST_CYCLES}"
    counts = now.succeeded, now.ended, before.succeeded, before.ended
    change = now.succeeded / now.ended - before.succeeded / before.ended
    return [
        _test(Question.SUCCESS_LOWER, fisher.lower(*counts), change, -LEAST_RATE_CHANGE),
        _test(Question.SUCCESS_HIGHER, fisher.higher(*counts), change, LEAST_RATE_CHANGE),
    ], ""


def _latency_by_baseline(item: Measures) -> tuple[list[Answer], str]:
    now = item.latencies
    for count, period in ((now.count, "window"), (now.count_before, "baseline")):
        if count < LEAST_CYCLES:
            return [], (
                f"{count} successful cycles with a duration in the {period}, "
                f"of at least {LEAST_CYCLES}"
            )
    if now.p50 is None or not now.p50_before:
        return [], "the median latency of the baseline is 0 ms"
    ranks = now.rank_sum, now.count, now.count_before, now.ties
    change = now.p50 / now.p50_before - 1
    if not math.isfinite(change):
        return [], "the median latencies are too far apart to be true"
    return [
        _test(Question.LATENCY_HIGHER, mann_whitney.greater(*ranks), change, LEAST_LATENCY_CHANGE),
        _test(Question.LATENCY_LOWER, mann_whitney.less(*ranks), change, -LEAST_LATENCY_CHANGE),
    ], ""


def _success_by_others(item: Measures) -> tuple[list[Answer], str]:
    now = item.window
    if item.others_ended < LEAST_CYCLES:
        return [], (
            f"{item.others_ended} ended cycles of other profiles in the namespace, "
            f"of at least {LEAST_CYCLES}"
        )
    p = fisher.lower(now.succeeded, now.ended, item.others_succeeded, item.others_ended)
    change = now.succeeded / now.ended - item.others_succeeded / item.others_ended
    return [_test(Question.SUCCESS_BELOW_OTHERS, p, change, -LEAST_RATE_CHANGE)], ""


def _test(question: Question, p: float, change: float, least: float) -> Answer:
    # Rounded: 0.95 - 0.9 is a bit less than 0.05 in floating-point numbers.
    large = round(change, 9) <= least if least < 0 else round(change, 9) >= least
    return Answer(question, p, effect=change, least_effect=least, large_enough=large)


def _assessment(
    item: Measures,
    tests: tuple[Answer, ...],
    impossible: tuple[Impossible, ...],
    total: int,
) -> Assessment:
    signal, confidence, rests_on = classify(item, tests)
    return Assessment(item, signal, confidence, rests_on, tests, impossible, total)


def classify(item: Measures, tests: Sequence[Answer]) -> tuple[SignalKind, float, str]:
    """Return the signal, its confidence, and what that comes from."""
    if item.window.ended < LEAST_CYCLES:
        return SignalKind.INSUFFICIENT, 0.0, ""
    for signal, names in ((SignalKind.LOW, WORSE), (SignalKind.ELEVATED, BETTER)):
        positive = [test for test in tests if test.question in names and test.found]
        if positive:
            surest = min(positive, key=lambda test: test.adjusted_p)
            return signal, 1 - surest.adjusted_p, surest.question
    now, before = item.window, item.baseline
    if before.ended >= LEAST_CYCLES:
        p = equivalence.differ(
            now.succeeded, now.ended, before.succeeded, before.ended, margin=LEAST_RATE_CHANGE
        )
        return SignalKind.STABLE, 1 - p, "equivalence"
    p = binomial.higher(now.succeeded, now.ended, FLOOR)
    return SignalKind.STABLE, 1 - p, "above_floor"
