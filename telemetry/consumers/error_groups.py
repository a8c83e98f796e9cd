"""Error groups: a flood of equal errors is one row with a count.

A group is a UTC day, message, stage and namespace. Different stages never merge.
"""

from telemetry import database
from telemetry.events import Name

NAMES = frozenset({Name.ERROR})
COUNT = database.load(__name__, "count_errors")


def consume() -> None:
    """Count the errors of the staging table. Unlike the others, not twice."""
    COUNT.execute()
