"""Policy violations: files that break a rule."""

from telemetry import database
from telemetry.events import Name

NAMES = frozenset({Name.POLICY_VIOLATION})
READ = database.load(__name__, "read_violations")


def consume() -> None:
    """Add the policy violations of the staging table."""
    READ.execute()
