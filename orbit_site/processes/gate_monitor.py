"""The watch of a worker: a thread that looks at the gate for the lanes, four times a second and whenever somebody rings.

It has a connection of its own, so that a lane that waits for the database holds nobody's look up. While it can't look, what the lanes know
grows old, and nothing new leaves the process. Without lanes it looks at nothing.
"""

import logging
import threading
import time
from typing import Any

import psycopg

from governance.namespaces import gate
from orbit import interrupts
from orbit_site.processes.listener import Listener
from orbit_site.processes.throttled_log import ThrottledLog

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25


class GateMonitor(threading.Thread):
    """Looks until the process ends, or until ``end`` is called."""

    def __init__(self) -> None:
        super().__init__(name="gate", daemon=True)
        self._listener = Listener(gate.CHANNEL)
        self._log = ThrottledLog(log)
        self._ended = threading.Event()

    def run(self) -> None:
        """Look, and wait for a ring or a quarter of a second; no error of the database ends that."""
        interrupts.process.watched = True
        while not self._ended.is_set():
            try:
                # Listening comes before looking: nothing falls between the two.
                look(self._listener.open())
                self._listener.wait(LOOK_SECONDS)
            except psycopg.Error as error:
                self._log.about("The gate can't be looked at", error)
                self._listener.close()
                time.sleep(LOOK_SECONDS)
        interrupts.process.watched = False
        self._listener.close()

    def end(self) -> None:
        """Have it end with its present wait."""
        self._ended.set()


def look(connection: "psycopg.Connection[Any]") -> None:
    """Ask for the lanes whether work may go on in their namespaces, and tell them. Raises psycopg.Error."""
    slots = interrupts.process.slots
    if not slots:
        return
    asked = interrupts.now()
    closed = {
        row[0]
        for row in connection.execute(
            gate.CLOSED.text, {"names": sorted({slot.namespace for slot in slots})}
        )
    }
    for slot in slots:
        slot.saw(is_open=slot.namespace not in closed, asked=asked)
