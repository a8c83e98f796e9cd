"""What a backtest says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from governance.kernel import json_diff

#: No more cycles that differ are listed, and no more changes.
MOST_LISTED = 50


class Verdict(StrEnum):
    """What the record says about one cycle."""

    SAME = "same"
    DIFFERENT = "different"
    #: It may have run otherwise: the record can't say.
    UNPREDICTABLE = "unpredictable"


@dataclass(frozen=True, slots=True)
class Range:
    """A number between ``least`` and ``most``; ``most`` None: there is no bound."""

    least: float
    most: float | None

    @classmethod
    def of(cls, value: float) -> "Range":
        """Return the range of one value."""
        return cls(value, value)

    def __add__(self, other: "Range") -> "Range":
        unknown = self.most is None or other.most is None
        most = None if unknown else (self.most or 0) + (other.most or 0)
        return Range(self.least + other.least, most)

    def is_only(self, value: float) -> bool:
        """Tell whether it holds ``value`` and no other."""
        return self.least == value and self.most == value

    def excludes(self, value: float) -> bool:
        """Tell whether it doesn't hold ``value``."""
        return value < self.least or (self.most is not None and value > self.most)


@dataclass(frozen=True, slots=True)
class Figure:
    """A sum over the compared cycles: as recorded, and as it would have been."""

    before: float
    after: Range

    @property
    def changes(self) -> bool:
        """Whether it may have been another."""
        return not self.after.is_only(self.before)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        most = self.after.most
        return {
            "before": _number(self.before),
            "least": _number(self.after.least),
            "most": None if most is None else _number(most),
        }


@dataclass(frozen=True, slots=True)
class DifferingCycle:
    """A cycle that would have run otherwise, or may have."""

    cycle_id: UUID
    namespace: str
    run_profile_id: str
    created_at: datetime
    verdict: Verdict
    status: str
    #: The statuses that it may have had; `not_run` if it wouldn't have run.
    would_be: tuple[str, ...]
    why: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "cycle_run_id": str(self.cycle_id),
            "namespace": self.namespace,
            "run_profile_id": self.run_profile_id,
            "created_at": _time(self.created_at),
            "verdict": str(self.verdict),
            "status": self.status,
            "would_be": list(self.would_be),
            "why": list(self.why),
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the waits before retries change, over the cycles whose waits change."""

    longer: int = 0
    shorter: int = 0
    #: Seconds.
    median: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        median = None if self.median is None else _number(self.median)
        return {"longer": self.longer, "shorter": self.shorter, "median_change_seconds": median}


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ticks of the run profile's schedule, under the proposed cron."""

    recorded: int
    #: Due at the same time, not due then, due at a time that the record doesn't have.
    kept: int
    gone: int
    new: int

    def to_dict(self) -> dict[str, int]:
        """Return it as JSON."""
        return {"recorded": self.recorded, "kept": self.kept, "gone": self.gone, "new": self.new}


@dataclass(frozen=True, slots=True)
class Backtest:
    """A proposal against the record. The same rows make the same backtest."""

    proposal_id: UUID
    #: How many cycles it was to read at most.
    most: int
    #: Only cycles that had ended by then count.
    until: datetime
    changes: tuple[json_diff.Change, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    #: Cycles that can't be compared, by reason.
    left_out: Mapping[str, int] = field(default_factory=dict)
    #: There are cycles in namespaces that the reader doesn't see.
    hidden: bool = False
    figures: Mapping[str, Figure] = field(default_factory=dict)
    waiting: Waiting = Waiting()
    ticks: Ticks | None = None
    #: The newest ones, at most ``MOST_LISTED``.
    differing: tuple[DifferingCycle, ...] = ()
    #: Sentences: what the record can't tell about this patch.
    cannot_tell: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """How many cycles were compared."""
        return sum(self.verdicts.values())

    @property
    def cycles(self) -> int:
        """How many cycles were read."""
        return self.compared + sum(self.left_out.values())

    def count(self, verdict: Verdict) -> int:
        """Return how many cycles have this verdict."""
        return self.verdicts.get(verdict, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON that has a canonical form."""
        return {
            "proposal_id": str(self.proposal_id),
            "most": self.most,
            "until": _time(self.until),
            "changes": [_change(change) for change in self.changes[:MOST_LISTED]],
            "cycles": {
                "read": self.cycles,
                "compared": self.compared,
                **{str(verdict): self.count(verdict) for verdict in Verdict},
                "left_out": dict(sorted(self.left_out.items())),
                "hidden": self.hidden,
                "first_at": None if self.first_at is None else _time(self.first_at),
                "last_at": None if self.last_at is None else _time(self.last_at),
            },
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
            "waiting": self.waiting.to_dict(),
            "ticks": None if self.ticks is None else self.ticks.to_dict(),
            "differing": [cycle.to_dict() for cycle in self.differing],
            "cannot_tell": list(self.cannot_tell),
        }


def _change(change: json_diff.Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after}
    return {
        "pointer": change.pointer,
        **{name: value for name, value in values.items() if value is not json_diff.ABSENT},
    }


def _number(value: float) -> float:
    # Milliseconds are enough, and the sum's order doesn't matter then.
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
