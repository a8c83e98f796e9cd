"""What the conductor's thread asks while it is idle, in one prepared statement."""

from dataclasses import dataclass

from governance.kernel import availability, sql
from governance.namespaces import gate
from orbit.conductor import aggregate, fanout

WAITS = sql.load(
    __name__,
    "upkeep_waits",
    is_read_only=availability.IS_READ_ONLY,
    waiting_namespaces=fanout.WAITING_NAMESPACES,
    gate_lets_start=gate.STARTS,
    aggregate_waits=aggregate.WAITS,
)


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits to be done."""

    fanout: bool
    aggregate: bool


def look() -> Waits:
    """Return what waits. Raises ReadOnlyServer."""
    ((is_read_only, fans_out, aggregates),) = WAITS.send()
    availability.require_writes(is_read_only)
    return Waits(fans_out and not gate.paused_here(), aggregates)
