"""What reads new events, in order. Advice adds its own when its app starts.

All transactions run the consumers in this order, and each writes its rows in the order of its key:
two batches that meet wait for each other, and don't deadlock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from telemetry import database
from telemetry.consumers import artifacts, error_groups, metrics, projection, violations

Consume = Callable[[], None]
NAMES = database.load(__name__, "staged_names")


@dataclass(frozen=True, slots=True)
class Consumer:
    """Reads the events of ``names`` in the staging table, by set, in its transaction.

    Events that no consumer names needn't be there.

    What it writes must not depend on how the events were cut into batches, or on their order.
    """

    names: frozenset[str]
    consume: Consume


CONSUMERS: list[Consumer] = [
    Consumer(artifacts.NAMES, artifacts.consume),
    Consumer(metrics.NAMES, metrics.consume),
    Consumer(violations.NAMES, violations.consume),
    Consumer(error_groups.NAMES, error_groups.consume),
    # Last: its rows are locked for the shortest time, and one task can have events of many days.
    Consumer(projection.NAMES, projection.consume),
]


def names() -> frozenset[str]:
    """Return the names that a consumer reads."""
    return frozenset().union(*(consumer.names for consumer in CONSUMERS))


def consume(instead: Mapping[Consume, Consume] = MappingProxyType({})) -> None:
    """Run the consumers whose events are in the staging table, or what replaces them."""
    staged = {name for (name,) in NAMES.rows()}
    for consumer in CONSUMERS:
        if not staged.isdisjoint(consumer.names):
            instead.get(consumer.consume, consumer.consume)()
