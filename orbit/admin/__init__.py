"""The console's pages of orbit."""

from orbit.admin import (
    alerts,
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
    trigger,
    value_ledger,
)
