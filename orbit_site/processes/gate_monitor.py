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
from orbit_site.processes.listener import Ear
from orbit_site.processes.throttled_log import Complaints

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25


class Watch(threading.Thread):
    """Looks until the process ends, or until ``end`` is called."""

    def __init__(self) -> None:
        super().__init__(name="gate", daemon=True)
        self._ear = Ear(gate.CHANNEL)
        self._complaints = Complaints(log)
        self._ended = threading.Event()

    def run(self) -> None:
        """Look, and wait for a ring or a quarter of a second; no error of the database ends that."""
        interrupts.process.watched = True
        while not self._ended.is_set():
            try:
                # Listening comes before looking: nothing falls between the two.
                look(self._ear.open())
                self._ear.wait(LOOK_SECONDS)
            except psycopg.Error as error:
                self._complaints.about("The gate can't be looked at", error)
                self._ear.close()
                time.sleep(LOOK_SECONDS)
        interrupts.process.watched = False
        self._ear.close()

    def end(self) -> None:
        """Have it end with its present wait."""
        self._ended.set()


def look(connection: "psycopg.Connection[Any]") -> None:
    """Ask for the lanes whether work may go on in their namespaces, and tell them. Raises psycopg.Error."""
    lanes = interrupts.process.lanes
    if not lanes:
        return
    asked = interrupts.now()
    closed = {
        row[0]
        for row in connection.execute(
            gate.CLOSED, {"names": sorted({lane.namespace for lane in lanes})}
        )
    }
    for lane in lanes:
        lane.saw(is_open=lane.namespace not in closed, asked=asked)
