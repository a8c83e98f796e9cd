"""What the events of the pipeline cost: cycles with and without them, in turn."""

import statistics
import sys
from dataclasses import dataclass, field

from benchmarks import cycles
from benchmarks.cycles import Round
from benchmarks.testbed import Testbed

_EVENTS = "SELECT count(*) FROM telemetry_telemetryevent WHERE run_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of both sides, and the events that a cycle writes."""

    on: list[Round] = field(default_factory=list)
    off: list[Round] = field(default_factory=list)
    events: list[float] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """By how much less CPU time a cycle takes without events."""
        pairs = zip(self.on, self.off, strict=True)
        ratio = statistics.median(_cpu(on) / _cpu(off) for on, off in pairs)
        return 100 * (ratio - 1)

    @property
    def slower(self) -> float:
        """By how much fewer cycles a second end with events, in percent."""
        ratio = statistics.median(
            on.rate / off.rate for on, off in zip(self.on, self.off, strict=True)
        )
        return 100 * (1 - ratio)


def measure(testbed: Testbed, *, rounds: int, count: int) -> Result:
    """Run ``count`` cycles with and without events, ``rounds`` times."""
    result = Result()
    for number in range(rounds):
        for is_on in (True, False) if number % 2 else (False, True):
            before = _stored(testbed)
            if is_on:
                result.on.append(cycles.orbit_round(testbed, count))
                result.events.append((_stored(testbed) - before) / count)
            else:
                result.off.append(
                    cycles.orbit_round(testbed, count, command=("-m", "benchmarks.without_events"))
                )
                if _stored(testbed) != before:
                    raise RuntimeError("The side without events wrote some.")
        print(
            f"round {number + 1} of {rounds}: {result.on[-1].rate:.1f} cycles/s with events, "
            f"{result.off[-1].rate:.1f} without",
            file=sys.stderr,
            flush=True,
        )
    return result


def _stored(testbed: Testbed) -> int:
    with testbed.watch("orbit") as connection:
        row = connection.execute(_EVENTS).fetchone()
    return int(row[0]) if row else 0


def _cpu(side: Round) -> float:
    return side.program_ms + side.server_ms
