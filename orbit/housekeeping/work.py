"""The table of Orbit's housekeeping."""

from governance.operations.periodic import Work
from governance.states import Every
from orbit.housekeeping import adapter_runs, ensure_partitions, prune_queue
from orbit.retention import run as retention

WORK = (
    Work(adapter_runs.TYPE, Every.MINUTE, adapter_runs.run_slice),
    Work(ensure_partitions.TYPE, Every.HOUR, ensure_partitions.run_slice),
    Work(prune_queue.TYPE, Every.HOUR, prune_queue.run_slice),
    Work(retention.TYPE, Every.DAY, retention.run_slice),
)
