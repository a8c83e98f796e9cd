"""What the record can't tell: reasons, counted, and the sentences that they make."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum


class Unknown(StrEnum):
    """Why the record can't say what would have happened."""

    TIER_EXHAUSTED = "tier_exhausted"
    TIER_TIMED_OUT = "tier_timed_out"
    TIER_CUT_OFF = "tier_cut_off"
    TIER_TIMES = "tier_times"
    TRANSFORMER = "transformer"
    PROCESSOR = "processor"
    CONTENT = "content"
    INPUT = "input"
    DELIVERY_EXHAUSTED = "delivery_exhausted"
    DELIVERY_INQUIRY = "delivery_inquiry"
    DELIVERY_OPEN = "delivery_open"
    NEW_DELIVERIES = "new_deliveries"
    SIZE = "size"


Sentence = Callable[[str], str]

#: By reason: a sentence about "3 of 118 cycles", in the order in which they are shown.
_SENTENCES: Mapping[Unknown, Sentence] = {
    Unknown.TRANSFORMER: lambda cycles: (
        f"In {cycles} a tier had another transformer or other options. "
        "A backtest runs no transformer, so what that tier would have given isn't known."
    ),
    Unknown.PROCESSOR: lambda cycles: (
        f"In {cycles} normalization had another processor. A backtest runs no processor, so the "
        "items and their deliveries aren't known."
    ),
    Unknown.CONTENT: lambda cycles: (
        f"{cycles} had the instruction as input, and a tier that sends its input to something "
        "outside Orbit. The input would have been another; how that would have answered isn't on "
        "record."
    ),
    Unknown.INPUT: lambda cycles: (
        f"{cycles} had the instruction as input, and it names the settings that change. The tiers "
        "are taken to answer the new input as they did the old one."
    ),
    Unknown.TIER_EXHAUSTED: lambda cycles: (
        f"In {cycles} a tier used up its attempts. Whether one more would have succeeded isn't on "
        "record."
    ),
    Unknown.TIER_TIMED_OUT: lambda cycles: (
        f"In {cycles} an attempt of a tier ran into its time-out. Whether it would have been "
        "answered later isn't on record."
    ),
    Unknown.TIER_CUT_OFF: lambda cycles: (
        f"In {cycles} a tier's answer came after the new time-out. The attempt would have been "
        "repeated; how that would have ended isn't on record."
    ),
    Unknown.TIER_TIMES: lambda cycles: (
        f"Of {cycles} it isn't on record any more how long each attempt of a tier took, so the new "
        "time-out can't be compared."
    ),
    Unknown.DELIVERY_EXHAUSTED: lambda cycles: (
        f"In {cycles} a delivery used up its retries. Whether one more would have been accepted "
        "isn't on record."
    ),
    Unknown.DELIVERY_INQUIRY: lambda cycles: (
        f"In {cycles} a delivery had attempts with an unknown outcome. Whether its endpoint would "
        "have been asked, and what it would have said, isn't on record."
    ),
    Unknown.DELIVERY_OPEN: lambda cycles: (
        f"In {cycles} deliveries are still open: how they end isn't on record yet."
    ),
    Unknown.NEW_DELIVERIES: lambda cycles: (
        f"In {cycles} there would have been deliveries that were never made. How their endpoints "
        "would have answered isn't on record."
    ),
    Unknown.SIZE: lambda cycles: (
        f"Of {cycles} the size of an item isn't known, so the volume is only a lower bound."
    ),
}


class Unknowns:
    """Counts, for each reason, the cycles that it concerns."""

    def __init__(self) -> None:
        self._cycles: Counter[Unknown] = Counter()

    def add(self, reasons: Iterable[Unknown]) -> None:
        """Count one cycle."""
        self._cycles.update(reasons)

    def sentences(self, compared: int) -> list[str]:
        """Return a sentence for each reason that applies to one of ``compared`` cycles."""
        return [
            sentence(f"{self._cycles[reason]} of {cycles(compared)}")
            for reason, sentence in _SENTENCES.items()
            if self._cycles[reason]
        ]


def cycles(number: int) -> str:
    """Return ``number`` with its noun."""
    return f"{number:,} cycle{'' if number == 1 else 's'}"
