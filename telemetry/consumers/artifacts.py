"""Artifacts: the files that tasks left behind."""

from telemetry import database
from telemetry.events import Name

NAMES = frozenset({Name.ARTIFACT_EMIT})
READ = database.load(__name__, "read_artifacts")


def consume() -> None:
    """Add the artifacts of the staging table."""
    READ.execute()
