"""The lone worker: runs suspected cycles, one at a time, in a process of its own.

A cycle that was resumed twice without progress may be what killed its workers. If it kills this
process, no other cycle loses its worker. The supervisor starts the process when one is due, and it
ends when none has been due for a while. The database lets one such cycle run at a time, in all
clusters together.
"""

import time

from orbit import interrupts
from orbit.cycles import runner
from orbit.cycles.runner import WorkerProcess
from orbit_site.processes.gate_monitor import GateMonitor

IDLE_SECONDS = 10.0
POLL_SECONDS = 0.5
_STAMP_SECONDS = 0.1


def run() -> None:
    """Run suspected cycles until none has been due for ten seconds, or this process drains."""
    interrupts.process.alone = True
    worker = WorkerProcess()
    GateMonitor().start()
    busy_at = time.monotonic()
    while not (interrupts.process.draining or worker.hung):
        if runner.run_alone(worker):
            busy_at = time.monotonic()
        elif time.monotonic() - busy_at > IDLE_SECONDS:
            return
        _sleep(POLL_SECONDS)


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not interrupts.process.draining:
        interrupts.process.stamp()
        time.sleep(_STAMP_SECONDS)
