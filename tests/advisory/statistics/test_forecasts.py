"""Forecasts: their form, and what comes true."""

from typing import Any

import pytest

from advisory.statistics import forecasts
from advisory.statistics.comparison import Sample, compare

BEFORE = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z"}
RATE = {"measure": "success_rate", "before": {**BEFORE, "value": 0.6}, "target": 0.85}
LATENCY = {"measure": "latency_ms", "before": {**BEFORE, "value": 5000}, "target": 3000}


def cycles(succeeded: int, failed: int = 0, *, milliseconds: int = 1000) -> Sample:
    """Return cycles whose latencies differ a bit."""
    return Sample(succeeded + failed, [float(milliseconds + n) for n in range(succeeded)])


@pytest.mark.parametrize("document", [RATE, LATENCY])
def test_a_forecast_is_read_as_it_was_stored(document: dict[str, Any]) -> None:
    assert forecasts.parse(document).to_dict() == document


def test_a_forecast_is_a_sentence() -> None:
    assert forecasts.parse(RATE).sentence == "The success rate rises from 60% to at least 85%."
    assert forecasts.parse(LATENCY).sentence == (
        "The median latency of successful cycles falls from 5 s to at most 3 s."
    )


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "soon",
        {},
        {**RATE, "measure": "luck"},
        {**RATE, "target": 0.5},
        {**RATE, "target": 1},
        {**RATE, "target": "0.9"},
        {**RATE, "target": True},
        {**RATE, "target": float("nan")},
        {**RATE, "before": {**BEFORE, "value": -0.1}},
        {**RATE, "before": {**BEFORE, "value": 0.6, "to": "2025-01-01T00:00:00Z"}},
        {**RATE, "before": {**BEFORE, "value": 0.6, "to": "2026-01-08T00:00:00"}},
        {**RATE, "before": {**BEFORE, "value": 0.6, "to": "next week"}},
        {**RATE, "before": {**BEFORE, "value": 0.6, "to": 7}},
        {**LATENCY, "target": 6000},
        {**LATENCY, "target": 0},
    ],
)
def test_another_form_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"forecast|Invalid isoformat|is not a valid"):
        forecasts.parse(document)


@pytest.mark.parametrize(
    ("before", "after", "came_true", "words"),
    [
        (cycles(36, 24), cycles(20), True, "It came true: 20 of 20 cycles succeeded afterwards"),
        (cycles(36, 24), cycles(11, 9), False, "It did not come true: 11 of 20"),
        (cycles(54, 6), cycles(12, 8), False, "It got worse: 12 of 20"),
        (cycles(36, 24), cycles(16, 4), None, "It can't be said: 16 of 20"),
        (cycles(55, 5), cycles(20), None, "It can't be said: 20 of 20"),
        (cycles(36, 24), cycles(9), None, "It can't be said: only 9 ended cycles afterwards"),
        (cycles(5, 4), cycles(20), None, "It can't be said: only 9 ended cycles before"),
    ],
)
def test_a_forecast_of_the_success_rate(
    before: Sample, after: Sample, came_true: bool | None, words: str
) -> None:
    result = compare(forecasts.parse(RATE), before, after)
    assert result.came_true is came_true
    assert result.sentence.startswith(words)


SLOW = cycles(40, milliseconds=5000)


@pytest.mark.parametrize(
    ("before", "after", "came_true", "words"),
    [
        (SLOW, cycles(20, milliseconds=2900), True, "It came true: the median latency of 20"),
        (SLOW, cycles(20, milliseconds=4000), False, "It did not come true: "),
        (SLOW, cycles(20, milliseconds=9000), False, "It got worse: "),
        (cycles(40, milliseconds=2500), cycles(20, milliseconds=2510), None, "It can't be said"),
        (SLOW, cycles(9, 11, milliseconds=2000), None, "It can't be said: only 9 successful"),
        (cycles(3), cycles(20), None, "It can't be said: only 3 successful cycles before"),
    ],
)
def test_a_forecast_of_the_latency(
    before: Sample, after: Sample, came_true: bool | None, words: str
) -> None:
    result = compare(forecasts.parse(LATENCY), before, after)
    assert result.came_true is came_true
    assert result.sentence.startswith(words)


def test_equal_latencies_share_their_rank() -> None:
    same = Sample(20, [1000.0] * 20)
    result = compare(forecasts.parse(LATENCY), same, same)
    assert result.p == {"fell": 1.0, "rose": 1.0, "missed": 1.0}
