"""What reads new events, in order. Advice adds its own when its app starts."""

from collections.abc import Callable

#: Read the staging table in its transaction, by set; writing the same event again changes nothing.
Consumer = Callable[[], None]
CONSUMERS: list[Consumer] = []


def consume() -> None:
    """Run the consumers on the events of the staging table."""
    for consumer in CONSUMERS:
        consumer()
