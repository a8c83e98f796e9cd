"""The console's pages of orbit."""

from orbit.admin import (
    conductor,
    cycles,
    dead_letters,
    dispatch,
    drift,
    endpoints,
    pipeline,
    profiles,
    records,
    schedules,
    stops,
    value_ledger,
)

__all__ = [
    "conductor",
    "cycles",
    "dead_letters",
    "dispatch",
    "drift",
    "endpoints",
    "pipeline",
    "profiles",
    "records",
    "schedules",
    "stops",
    "value_ledger",
]
