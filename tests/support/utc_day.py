"""The UTC day, for tests of what is counted by day."""

from datetime import datetime, time, timedelta

from governance.kernel import clock
from tests.support.polling import until

#: A test ends in this time, also on a busy machine.
SECONDS = 90


def wait_for_room() -> None:
    """Wait for midnight if it is so near that a test could begin before it and end after it."""
    until(lambda: _left(clock.read()) > timedelta(seconds=SECONDS), seconds=2 * SECONDS, every=0.5)


def _left(now: datetime) -> timedelta:
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    return tomorrow - now
