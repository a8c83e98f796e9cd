"""The console's pages of orbit."""

from orbit.admin import (
    cycles,
    dead_letters,
    dispatch,
    drift,
    pause,
    pipeline,
    profiles,
    records,
    schedules,
    value_ledger,
)

__all__ = [
    "cycles",
    "dead_letters",
    "dispatch",
    "drift",
    "pause",
    "pipeline",
    "profiles",
    "records",
    "schedules",
    "value_ledger",
]
