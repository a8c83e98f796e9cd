"""Track record: whether the forecasts of approved proposals came true."""

from dataclasses import dataclass
from typing import Any

from advisory.models import StrategyProposal, TrackRecord
from governance.kernel import sql

#: How many ended cycles after an approval are compared with the forecast, and for how long Orbit
#: waits for them.
CYCLES = 20
DAYS = 30
#: The hit rate is over so many.
_LAST = 50

HIT_RATE = sql.load(__name__, "hit_rate")


@dataclass(frozen=True, slots=True)
class HitRate:
    """How the last forecasts of the engine ended, of one rule or of all."""

    rule: str | None
    came_true: int
    did_not: int
    cannot_tell: int

    @property
    def total(self) -> int:
        """How many approved proposals these are."""
        return self.came_true + self.did_not + self.cannot_tell

    @property
    def sentence(self) -> str:
        """The hit rate in words."""
        whose = "the engine's" if self.rule is None else f"the rule {self.rule}'s"
        if not self.total:
            return f"None of {whose} approved proposals has been compared with its forecast yet."
        if self.total == 1:
            return f"Of {whose} approved proposals one was compared with its forecast: " + (
                "it came true."
                if self.came_true
                else "it did not come true."
                if self.did_not
                else "it can't be said."
            )
        return (
            f"Of {whose} last {self.total} approved proposals {self.came_true} came true, "
            f"{self.did_not} did not, and of {self.cannot_tell} it can't be said."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "rule": self.rule,
            "came_true": self.came_true,
            "did_not": self.did_not,
            "cannot_tell": self.cannot_tell,
            "sentence": self.sentence,
        }


def start(proposal: StrategyProposal) -> TrackRecord | None:
    """Begin to follow the forecast of ``proposal``, in the transaction that applies it.

    Return None if it has no forecast.
    """
    if proposal.forecast is None:
        return None
    return TrackRecord.objects.create(proposal=proposal, rule=proposal.rule, cycles=CYCLES)


def hit_rate(rule: str | None = None) -> HitRate:
    """Return how the last 50 forecasts of ``rule`` ended; without one, of all rules.

    Forecasts of users don't count.
    """
    row = HIT_RATE.one(rule=rule, most=_LAST)
    assert row is not None  # noqa: S101 - an aggregate
    return HitRate(rule, *row)
