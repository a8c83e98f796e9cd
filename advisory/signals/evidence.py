"""What a signal says of itself: its numbers, its method, what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from advisory.signals.assess import (
    ALPHA,
    FLOOR,
    LEAST_CYCLES,
    LEAST_LATENCY_CHANGE,
    LEAST_RATE_CHANGE,
    Answer,
    Assessment,
    Question,
    rate,
)
from advisory.signals.measures import Cycles, Deliveries
from advisory.signals.windows import Window
from advisory.states import SignalKind
from advisory.statistics import wilson

#: Rises if members of the evidence change their meaning.
VERSION = 1

METHOD = (
    "Success rate: share of ended cycles with status success, with its 95 % Wilson interval; "
    "compared with the baseline and with the other profiles of the namespace by Fisher's exact "
    f"test, and with the floor of {FLOOR:.0%} by the binomial test. Latency: durations of "
    "successful cycles, compared with the baseline by the Mann-Whitney test with correction for "
    "ties. All tests are one-sided; their p-values are adjusted by Benjamini-Hochberg over all "
    f"tests of the computation, at {ALPHA:.0%}. A difference counts from "
    f"{100 * LEAST_RATE_CHANGE:.0f} points of success rate or {LEAST_LATENCY_CHANGE:.0%} of the "
    "median latency. Confidence: "
)
_CONFIDENCE = {
    SignalKind.LOW: "1 - adjusted p of the test that the signal rests on.",
    SignalKind.ELEVATED: "1 - adjusted p of the test that the signal rests on.",
    SignalKind.STABLE: (
        "1 - p of the test that the success rate differs from the baseline's by "
        f"{100 * LEAST_RATE_CHANGE:.0f} points or more; without a baseline, that it is at most "
        f"{FLOOR:.0%}."
    ),
    SignalKind.INSUFFICIENT: f"0: fewer than {LEAST_CYCLES} ended cycles.",
}


def method(assessment: Assessment) -> str:
    """Return the method in words."""
    return METHOD + _CONFIDENCE[assessment.signal]


def evidence(
    assessment: Assessment, window: Window, cycles: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the numbers behind the signal, as JSON."""
    item = assessment.measures
    return {
        "version": VERSION,
        "window": _period(window.start.isoformat(), window.end.isoformat(), item.window),
        "baseline": _period(
            window.baseline_start.isoformat(), window.start.isoformat(), item.baseline
        ),
        "others": {
            "profiles": item.others,
            **_rate(item.others_succeeded, item.others_ended),
        },
        "latency_ms": {
            "window": {
                "cycles": item.latencies.count,
                "p50": item.latencies.p50,
                "p95": item.latencies.p95,
            },
            "baseline": {
                "cycles": item.latencies.count_before,
                "p50": item.latencies.p50_before,
                "p95": item.latencies.p95_before,
            },
        },
        "deliveries": _deliveries(item.deliveries),
        "tests": [_test(answer) for answer in assessment.tests],
        "impossible": [asdict(comparison) for comparison in assessment.impossible],
        "rests_on": assessment.rests_on or None,
        "tests_in_computation": assessment.tests_in_computation,
        "excluded": dict(item.excluded),
        "cycles": {
            "not_succeeded": list(cycles.get("not_succeeded", ())),
            "slowest": list(cycles.get("slowest", ())),
        },
    }


def recommendation(assessment: Assessment) -> str:
    """Return what the signal suggests to a reader. Nothing acts on this text."""
    item = assessment.measures
    if assessment.signal == SignalKind.INSUFFICIENT:
        return (
            f"{_ended(item.window.ended)} in the window, and a judgement needs "
            f"{LEAST_CYCLES}. Wait for more, or compute over a longer window."
        )
    positive = [answer for answer in assessment.tests if answer.found]
    sentences = " ".join(_sentence(assessment, answer) for answer in positive)
    if assessment.signal == SignalKind.LOW:
        return f"{sentences} See the cycles in the evidence and the proposals for this profile."
    if assessment.signal == SignalKind.ELEVATED:
        return f"{sentences} Nothing needs to be done."
    return (
        f"{_percent(item.window)} of {item.window.ended} cycles succeeded, and no test found a "
        "difference that counts. Nothing needs to be done."
    )


def _sentence(assessment: Assessment, answer: Answer) -> str:
    item = assessment.measures
    now = f"{_percent(item.window)} of {item.window.ended} cycles succeeded"
    match answer.question:
        case Question.SUCCESS_LOWER | Question.SUCCESS_HIGHER:
            return f"{now}, after {_percent(item.baseline)} of {item.baseline.ended} before."
        case Question.SUCCESS_BELOW_OTHERS:
            others = item.others_succeeded / item.others_ended
            return f"{now}; of the others in {item.namespace}, {others:.1%} of {item.others_ended}."
        case Question.SUCCESS_BELOW_FLOOR:
            return f"{now}: surely less than the {FLOOR:.0%} that are expected of every profile."
        case Question.LATENCY_HIGHER | Question.LATENCY_LOWER:
            return (
                f"Half of the successful cycles took more than {item.latencies.p50:,.0f} ms, "
                f"after {item.latencies.p50_before:,.0f} ms before."
            )


def _ended(count: int) -> str:
    return f"{count} cycle{'' if count == 1 else 's'} ended"


def _percent(cycles: Cycles) -> str:
    return f"{rate(cycles) or 0:.1%}"


def _period(start: str, end: str, cycles: Cycles) -> dict[str, Any]:
    return {
        "from": start,
        "to": end,
        **_rate(cycles.succeeded, cycles.ended),
        "partial": cycles.partial,
        "failed": cycles.failed,
        "cancelled": cycles.cancelled,
    }


def _rate(succeeded: int, ended: int) -> dict[str, Any]:
    return {
        "ended": ended,
        "succeeded": succeeded,
        "success_rate": succeeded / ended if ended else None,
        "interval": list(wilson.interval(succeeded, ended)) if ended else None,
    }


def _deliveries(counts: Deliveries) -> dict[str, Any]:
    return {
        "window": {
            "confirmed": counts.confirmed,
            "confirmed_at_once": counts.at_once,
            "failed_attempts": counts.failed,
        },
        "baseline": {
            "confirmed": counts.confirmed_before,
            "confirmed_at_once": counts.at_once_before,
            "failed_attempts": counts.failed_before,
        },
        "endpoints": counts.endpoints,
        #: Those with the most failed attempts.
        "worst_endpoints": [
            {
                "endpoint_key": endpoint["endpoint_key"],
                "window": {
                    "confirmed": endpoint["confirmed"],
                    "confirmed_at_once": endpoint["at_once"],
                    "failed_attempts": endpoint["failed"],
                },
                "baseline": {
                    "confirmed": endpoint["confirmed_before"],
                    "confirmed_at_once": endpoint["at_once_before"],
                    "failed_attempts": endpoint["failed_before"],
                },
            }
            for endpoint in counts.worst
        ],
    }


def _test(answer: Answer) -> dict[str, Any]:
    return {
        "test": str(answer.question),
        "p": answer.p,
        "adjusted_p": answer.adjusted_p,
        "effect": answer.effect,
        "least_effect": answer.least_effect,
        "large_enough": answer.large_enough,
        "found": answer.found,
    }
