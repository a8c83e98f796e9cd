"""What the engine's rules look at besides the signal: the last cycles, in sets and bounded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from governance.kernel import sql

#: So many ended cycles of each run profile.
MOST_CYCLES = 200
#: So many of all cycles, for the busy minutes.
_MOST_STARTS = 5_000

RECENT = sql.load(__name__, "recent_facts")
BUSY_MINUTES = sql.load(__name__, "busy_minutes")

Part = TypeVar("Part", "Tier", "Endpoint")


@dataclass(frozen=True, slots=True)
class Tier:
    """How one tier of the profile ended."""

    cycles: int
    failed: int
    #: After several attempts: failed, and succeeded.
    retried_in_vain: int
    recovered: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the deliveries of one run profile to one endpoint ended."""

    deliveries: int
    cycles: int
    dead: int
    retried_in_vain: int
    recovered: int
    attempts: int
    #: Cycles that would have succeeded but for this endpoint.
    only_culprit: int
    #: The most frequent failure; empty if there was none.
    error: str = ""

    @property
    def delivered_share(self) -> float:
        """The share of deliveries that arrived."""
        return 1 - self.dead / self.deliveries


@dataclass(frozen=True, slots=True)
class Facts:
    """What the last cycles say, of the current revision of the profile."""

    #: By run profile.
    cycles: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[int, Tier] = field(default_factory=dict)
    #: By run profile, then endpoint.
    endpoints: Mapping[str, Mapping[str, Endpoint]] = field(default_factory=dict)

    @property
    def all_cycles(self) -> int:
        """How many cycles were looked at."""
        return sum(self.cycles.values())


@dataclass(frozen=True, slots=True)
class Minute:
    """What the clock starts in one minute of the hour."""

    cycles: int = 0
    run_profiles: int = 0


def read(profile_id: str, namespace: str, *, revision: int, since: datetime) -> Facts:
    """Return what the last cycles since ``since`` with ``revision`` of the profile say."""
    cycles: dict[str, int] = {}
    tiers: dict[int, Tier] = {}
    endpoints: dict[str, dict[str, dict[str, Any]]] = {}
    for part, run_profile, key, text in RECENT.rows(
        profile_id=profile_id, namespace=namespace, revision=revision, since=since, most=MOST_CYCLES
    ):
        numbers = json.loads(text)
        if part == "cycles":
            cycles[run_profile] = numbers["cycles"]
        elif part == "tier":
            tiers[int(key)] = _read(Tier, numbers)
        else:  # numbers, or the error
            numbers.pop("count", None)
            endpoints.setdefault(run_profile, {}).setdefault(key, {}).update(numbers)
    return Facts(
        cycles,
        tiers,
        {
            run_profile: {key: _read(Endpoint, numbers) for key, numbers in by_key.items()}
            for run_profile, by_key in endpoints.items()
        },
    )


def busy_minutes(*, without: str) -> list[Minute]:
    """Return what the clock starts in each minute of the hour (UTC), ``without`` a run profile."""
    minutes = [Minute()] * 60
    for minute, cycles, run_profiles in BUSY_MINUTES.rows(
        most=_MOST_STARTS, except_run_profile=without
    ):
        minutes[minute] = Minute(cycles, run_profiles)
    return minutes


def _read(kind: type[Part], numbers: Mapping[str, Any]) -> Part:
    return kind(**{part.name: numbers[part.name] for part in fields(kind) if part.name in numbers})
