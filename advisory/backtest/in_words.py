"""A backtest in words, from the summary that the digest of a decision covers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FIGURES = {
    "cycles": "Cycles",
    "successful_cycles": "Successful cycles",
    "tiers_succeeded": "Tiers that succeeded",
    "tier_attempts": "Attempts of tiers",
    "deliveries": "Deliveries",
    "failed_deliveries": "Failed deliveries",
    "delivery_requests": "Requests to endpoints",
    "bytes_sent": "Bytes sent",
    "waiting_seconds": "Seconds of waiting",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A figure as recorded, and as it would have been."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A backtest as the page shows it."""

    title: str
    sentences: list[str]
    lines: list[Line]
    cannot_tell: list[str]


def summary(backtest: Mapping[str, Any]) -> Summary:
    """Return the backtest in words."""
    cycles = backtest["cycles"]
    return Summary(
        f"Backtest on the last {_cycles(cycles['compared'])}",
        _sentences(backtest),
        [
            Line(_FIGURES.get(name, name), f"{figure['before']:,}", _range(figure))
            for name, figure in backtest["figures"].items()
        ],
        list(backtest["cannot_tell"]),
    )


def _sentences(backtest: Mapping[str, Any]) -> list[str]:
    cycles, waiting, ticks = backtest["cycles"], backtest["waiting"], backtest["ticks"]
    if not cycles["compared"]:
        sentences = ["No ended cycle can be compared."]
    else:
        sentences = [f"{_cycles(cycles['different'])} would have run otherwise."]
    if cycles["unpredictable"]:
        sentences.append(f"{_cycles(cycles['unpredictable'])} may have: the record can't say.")
    left_out = sum(cycles["left_out"].values())
    if left_out:
        sentences.append(f"{_cycles(left_out)} can't be compared.")
    if waiting["median_change_seconds"] is not None:
        sentences.append(
            f"Waits before retries: longer in {_cycles(waiting['longer'])}, shorter in "
            f"{waiting['shorter']:,}; half of them change by "
            f"{waiting['median_change_seconds']:+,} s or more."
        )
    if ticks is not None:
        sentences.append(
            f"Ticks: {ticks['kept']:,} of {ticks['recorded']:,} stay, {ticks['gone']:,} go, "
            f"{ticks['new']:,} are new."
        )
    return sentences


def _range(figure: Mapping[str, Any]) -> str:
    least, most = figure["least"], figure["most"]
    if most is None:
        return f"{least:,} or more"
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _cycles(number: int) -> str:
    return f"{number:,} cycle{'' if number == 1 else 's'}"
