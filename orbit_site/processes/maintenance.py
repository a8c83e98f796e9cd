"""The keeper: one process of a cluster, which does each second what must not depend on any task being run.

It enqueues what is due and wakes what was forgotten; it runs nothing itself. Every duty stands alone: one that fails is put on record,
the others go on, and it is tried again for ever. Several keepers on one database harm nobody. Whoever closes or opens the gate rings: then
the duties that look there are done at once, so that a resumed namespace goes on without a wait.
"""

import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

import orbit_site
from governance.audit import head
from governance.namespaces import gate, halts, pauses
from orbit import interrupts
from orbit.cycles import halt_certificates, maintenance, namespace_queue
from orbit.schedules import ledger
from orbit.schedules.sync import RunProfileSchedules, sync
from orbit_site import schedules
from orbit_site.processes.listener import Listener
from orbit_site.processes.throttled_log import ThrottledLog

log = logging.getLogger(__name__)

SECOND, SOON, LIFE, HOUR, DAY = 1.0, 2.0, 5.0, 3600.0, 86400.0
ONCE = float("inf")
# After a failure: soon again for what is done each second, in a minute for what is done each hour.
LONGEST_BACK_OFF, MINUTE = 2.0, 60.0
SLICE = 0.2
#: For a keeper's connections: who holds a row for longer holds up one duty, not all of them.
WAITS_BRIEFLY = " -c lock_timeout=2s"


@dataclass(slots=True)
class PeriodicTask:
    """Something to do again and again: how often in seconds, when next on the monotonic clock, and whether a ring at the gate has it done now."""

    name: str
    every: float
    act: Callable[[], object]
    due: float = 0.0
    rings: bool = False


class Maintenance:
    """The duties of one cluster's keeper. ``node`` names the cluster, ``supervisor`` is the process that operators know it by."""

    def __init__(self, node: UUID, supervisor: int) -> None:
        self.node = node
        self._supervisor = supervisor
        self._log = ThrottledLog(log)
        self._back_off = 0.0
        self.duties = [
            PeriodicTask(
                "The schedules can't be brought up to date", ONCE, lambda: sync(schedules.table())
            ),
            PeriodicTask(
                "The schedules of the run profiles can't be brought up to date",
                SOON,
                RunProfileSchedules(settings.ORBIT_TIME_ZONE).follow,
            ),
            PeriodicTask("The sign of life can't be written", LIFE, self.heartbeat),
            PeriodicTask("Partitions can't be made", HOUR, maintenance.ensure_partitions),
            PeriodicTask("Due ticks can't be enqueued", SECOND, self._enqueue_due),
            PeriodicTask("Lost ticks can't be enqueued", SECOND, ledger.enqueue_lost),
            PeriodicTask("Stops whose time is over can't be lifted", SECOND, _lift_expired),
            PeriodicTask(
                "What lost workers left open under a halt can't be closed",
                SECOND,
                halt_certificates.close_abandoned,
            ),
            PeriodicTask("Halts can't be told quiet", SECOND, halt_certificates.certify),
            PeriodicTask(
                "Queued cycles can't take their turns",
                SECOND,
                namespace_queue.promote_waiting,
                rings=True,
            ),
            PeriodicTask(
                "Due cycles can't be woken",
                SECOND,
                partial(maintenance.rescue, settings.ORBIT_WORKERS),
                rings=True,
            ),
            PeriodicTask("Late operation runs can't be woken", SECOND, maintenance.wake_operations),
            PeriodicTask("Old rows can't be deleted", HOUR, maintenance.prune),
            PeriodicTask("The audit trail's head can't be logged", DAY, head.write_down),
        ]

    def tend(self, now: float) -> None:
        """Do what is due at ``now``, a moment of the monotonic clock. Raises nothing; where the database is gone the rest waits for it."""
        for duty in self.duties:
            if duty.due > now or interrupts.process.draining:
                continue
            interrupts.process.stamp()
            try:
                duty.act()
            except (OperationalError, InterfaceError) as error:
                self._failed(duty, error, now)
                if _away():
                    self._back_off = min(max(self._back_off * 2, 0.2), LONGEST_BACK_OFF)
                    return
            except Exception as error:
                # Whatever it is, the other duties must be done.
                self._failed(duty, error, now)
            else:
                self._back_off = 0.0
                duty.due = now + duty.every

    def rung(self) -> None:
        """Have what looks at the gate done at the next look."""
        for duty in self.duties:
            if duty.rings:
                duty.due = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return max(self._back_off, SECOND)

    def heartbeat(self) -> None:
        """Write this cluster's row."""
        maintenance.heartbeat(
            self.node,
            host=socket.gethostname(),
            pid=self._supervisor,
            release=orbit_site.__version__,
            workers=settings.ORBIT_WORKERS,
            draining=interrupts.process.draining,
        )

    def _enqueue_due(self) -> None:
        for broken in ledger.enqueue_due():
            self._log.about(broken.split(":")[0], broken)

    def _failed(self, duty: PeriodicTask, error: Exception, now: float) -> None:
        self._log.about(duty.name, error)
        duty.due = now + (MINUTE if duty.every in {HOUR, DAY} else SECOND)
        connection.close()


def run(
    *, node: UUID, supervisor: int, stopping: Callable[[], bool], alone: Callable[[], bool]
) -> None:
    """Tend the duties until this process drains, then show the cluster as draining until its workers are gone, and take its row away.

    ``stopping`` tells whether the whole cluster stops, ``alone`` whether its workers are gone. A keeper that was asked to end by itself
    ends at once: the supervisor starts another.
    """
    keeper, listener = Maintenance(node, supervisor), Listener(gate.CHANNEL)
    while not interrupts.process.draining:
        began = time.monotonic()
        keeper.tend(began)
        if _listen(listener, began + keeper.pause):
            keeper.rung()
    listener.close()
    _rest(time.monotonic() + SECOND, unless=stopping)
    if not stopping():
        return
    try:
        keeper.heartbeat()
        while not alone():
            _rest(time.monotonic() + LIFE, unless=alone)
            keeper.heartbeat()
        maintenance.deregister(node)
    except (OperationalError, InterfaceError) as error:
        log.warning(
            "This cluster's row stays behind until another cluster clears it away: %s",
            " ".join(str(error).split()),
        )


def _away() -> bool:
    """Tell whether the database itself is away, or a duty met somebody's lock alone."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (OperationalError, InterfaceError):
        connection.close()
        return True
    return False


def _lift_expired() -> None:
    halts.lift_expired()
    pauses.lift_expired()


def _listen(listener: Listener, until: float) -> bool:
    """Rest until then, or until somebody rings at the gate, which is told; without a connection it is a rest."""
    while time.monotonic() < until and not interrupts.process.draining:
        interrupts.process.stamp()
        try:
            if listener.wait(SLICE):
                return True
        except psycopg.Error:
            listener.close()
            time.sleep(SLICE)
    return False


def _rest(until: float, *, unless: Callable[[], bool]) -> None:
    while time.monotonic() < until and not unless():
        interrupts.process.stamp()
        time.sleep(SLICE)
