"""The gate monitor: a thread that keeps a worker's view of the gate fresh.

It has its own connection, so a slot that waits for the database doesn't delay it. While it can't
read, the view gets stale and nothing new leaves the process.
"""

import logging
import threading
import time
from typing import Any

import psycopg

from governance.kernel.throttled_log import ThrottledLog
from governance.namespaces import gate
from orbit import interrupts
from orbit_site.processes.listener import Listener

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.25
#: An idle process asks this often whether its server is still the primary.
IDLE_PROOF_SECONDS = 5.0


class GateMonitor(threading.Thread):
    """Reads the gate four times a second, and on a notification, while a slot is busy.

    An idle process needs no view: a claim reads the gate itself, and its slot counts that as fresh
    for longer than an interval.
    """

    def __init__(self) -> None:
        super().__init__(name="gate", daemon=True)
        self._listener = Listener(gate.CHANNEL)
        self._log = ThrottledLog(log.warning)
        self._ended = threading.Event()

    def run(self) -> None:
        """Read until the end; log and retry database errors."""
        interrupts.process.watched = True
        while not self._ended.is_set():
            try:
                self._listener.open()
                if self._wait_for_slot():
                    # The claim has read the gate: the first reading may be an interval later.
                    self._listener.wait(INTERVAL_SECONDS, proved=False)
                    read_gate(self._listener.open())
            except psycopg.Error as error:
                self._log.report("The gate can't be read", error)
                self._listener.close()
                interrupts.process.reconnects += 1
                time.sleep(INTERVAL_SECONDS)
        interrupts.process.watched = False
        self._listener.close()

    def end(self) -> None:
        """End the thread after its present wait for a notification."""
        self._ended.set()
        interrupts.process.busy.set()

    def _wait_for_slot(self) -> bool:
        """Return True as soon as a slot is busy, False if none is for ``IDLE_PROOF_SECONDS``."""
        interrupts.process.busy.clear()
        # In this order: a slot that opens in between sets it again, and so does ``end``.
        is_busy = bool(interrupts.process.slots) or self._ended.is_set()
        return is_busy or interrupts.process.busy.wait(IDLE_PROOF_SECONDS)


def read_gate(connection: "psycopg.Connection[Any]") -> None:
    """Tell each busy slot whether its namespace is open. Raises psycopg.Error."""
    slots = interrupts.process.slots
    if not slots:
        return
    # The time before the query: the answer may be older than its arrival.
    read_at = interrupts.now()
    closed = {
        name
        for (name,) in connection.execute(
            gate.CLOSED.text, {"names": sorted({slot.namespace for slot in slots})}
        )
    }
    for slot in slots:
        slot.saw(is_open=slot.namespace not in closed, read_at=read_at)
