"""Forecasts: what a proposal is expected to change, and whether it came true.

A forecast names one measure, the window before, and a target::

    {"measure": "success_rate",
     "before": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z", "value": 0.62},
     "target": 0.85}

``success_rate``: the share of successes rises to at least ``target`` (between 0 and 1).
``latency_ms``: the median latency of successful cycles falls to at most ``target``.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Measure(StrEnum):
    """What a forecast is about."""

    SUCCESS_RATE = "success_rate"
    LATENCY = "latency_ms"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast as values. The window before is [before_from, before_to)."""

    measure: Measure
    before_from: datetime
    before_to: datetime
    #: The measure in the window before.
    value: float
    target: float

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "measure": str(self.measure),
            "before": {
                "from": _to_iso(self.before_from),
                "to": _to_iso(self.before_to),
                "value": self.value,
            },
            "target": self.target,
        }

    @property
    def sentence(self) -> str:
        """The forecast in words."""
        if self.measure == Measure.SUCCESS_RATE:
            return f"The success rate rises from {self.value:.0%} to at least {self.target:.0%}."
        return (
            "The median latency of successful cycles falls from "
            f"{self.value / 1000:.3g} s to at most {self.target / 1000:.3g} s."
        )


def parse(document: Any) -> Forecast:
    """Return the forecast that ``document`` is. Raises ValueError with what is wrong."""
    try:
        before = document["before"]
        forecast = Forecast(
            measure=Measure(document["measure"]),
            before_from=_time(before["from"]),
            before_to=_time(before["to"]),
            value=_number(before["value"]),
            target=_number(document["target"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            "A forecast is {measure, before: {from, to, value}, target}, see docs/advice.md."
        ) from error
    if forecast.before_from >= forecast.before_to:
        raise ValueError("The window of a forecast ends after it begins.")
    if forecast.measure == Measure.SUCCESS_RATE and not (0 <= forecast.value < forecast.target < 1):
        raise ValueError("A forecast of the success rate rises, and stays between 0 and 1.")
    if forecast.measure == Measure.LATENCY and not 0 < forecast.target < forecast.value:
        raise ValueError("A forecast of the latency falls, and stays above 0.")
    return forecast


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("A forecast's value and target are numbers.")
    return float(value)


def _time(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("A forecast's times have a zone, such as 2026-01-31T06:00:00Z.")
    return moment


def _to_iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
