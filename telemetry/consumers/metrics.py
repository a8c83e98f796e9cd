"""Metrics: measured values, and the provider of a task as numbers."""

from telemetry import database
from telemetry.events import Name

NAMES = frozenset({Name.METRIC, Name.TASK_START})
READ = database.load(__name__, "read_metrics")


def consume() -> None:
    """Add the metrics of the staging table."""
    READ.execute()
