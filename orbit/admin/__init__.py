"""The console's pages of orbit."""

from orbit.admin import (
    conductor,
    cycles,
    dead_letters,
    dispatch,
    drift,
    pause,
    pipeline,
    profiles,
    records,
    schedules,
    trigger,
    value_ledger,
)

__all__ = [
    "conductor",
    "cycles",
    "dead_letters",
    "dispatch",
    "drift",
    "pause",
    "pipeline",
    "profiles",
    "records",
    "schedules",
    "trigger",
    "value_ledger",
]
