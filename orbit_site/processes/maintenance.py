"""The maintenance process of a cluster: runs periodic tasks, but no cycle.

The tasks are independent: one that fails is logged and tried again. Several maintenance processes
on one database do no harm.
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
from django.db import DatabaseError, InterfaceError, OperationalError, connection

import orbit_site
from advisory.decisions import expiry, probation_end, track_record_end
from governance.audit import head
from governance.kernel import availability
from governance.kernel.throttled_log import ThrottledLog
from governance.namespaces import gate, halts, pauses, registry
from governance.operations import periodic
from orbit import interrupts, queue, tasks
from orbit.cycles import halt_certificates, lease, maintenance, namespace_queue
from orbit.cycles.cursor import SuspectedCursor
from orbit.dispatch import enqueue
from orbit.housekeeping import adapter_runs
from orbit.records import partitions
from orbit.rollup import counts
from orbit.schedules import ledger
from orbit.schedules.sync import RunProfileSchedules, sync
from orbit_site import schedules
from orbit_site.processes import alerts
from orbit_site.processes.conductor import conductor
from orbit_site.processes.forwarder import Forwarder
from orbit_site.processes.listener import Listener
from orbit_site.processes.waiting_work import Waiting, WaitingWork

log = logging.getLogger(__name__)

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
#: What the configuration asks for is compared with the rows this often, so a lost row comes again.
RECONCILE_SECONDS = 10.0
RUN_PROFILES_SECONDS, HEARTBEAT_SECONDS = 2.0, 5.0
PROPOSALS_SECONDS = 5.0
# A plain read, unless something is due.
WORK_SECONDS = 2.0
ROLLUP_SECONDS = 10.0
# Not by the hour: the database's clock may jump, and a suspended machine sleeps through it.
PARTITIONS_SECONDS = 5.0
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.2, 2.0
SLICE_SECONDS = 0.2
# A wait for the gate ends this often: for a stamp, and for a drain that came without a signal.
LONGEST_WAIT_SECONDS = 1.0
# What the listener hears only hastens the next look, which proves its own connection.
GATE_PROOF_SECONDS = 5.0
# A signal to the process group may reach this process before the supervisor sets its phase.
PHASE_SECONDS = 1.0
#: For the connections of this process: a lock held longer than this blocks one task, not all.
LOCK_TIMEOUT = " -c lock_timeout=2s"


@dataclass(slots=True)
class PeriodicTask:
    """``act`` runs every ``every`` seconds; ``failure`` is its log message."""

    failure: str
    every: float
    act: Callable[[], object]
    on_gate: bool = False  # run it also at once when the gate opens or closes
    next_at: float = 0.0  # monotonic


class Maintenance:
    """The periodic tasks of the cluster ``node``."""

    def __init__(
        self, node: UUID, supervisor: int, request_lone_worker: Callable[[], None] = lambda: None
    ) -> None:
        self.node, self._supervisor = node, supervisor
        self._request_lone_worker = request_lone_worker
        self._log = ThrottledLog(log.warning)
        self._backoff, self._suspected = 0.0, SuspectedCursor()
        self._waiting = WaitingWork()
        self._is_new = True
        self.forwarder = Forwarder()
        self.conductor, self.alerts = conductor(), alerts.sender()
        self.tasks = self._periodic_tasks()

    def run_due(self, now: float) -> None:
        """Run the tasks that are due at ``now`` (monotonic). Raises nothing."""
        self._waiting.begin(now)
        for task in self.tasks:
            if task.next_at > now or interrupts.process.draining:
                continue
            interrupts.process.stamp()
            try:
                task.act()
            except Exception as error:
                # Whatever it is, the other tasks must run.
                self._failed(task, error, now)
                if availability.is_lost(error):
                    self._do_all_again()
                # The remaining tasks would fail too: they wait for the next call.
                if availability.is_away(error) and _database_is_down():
                    longer = max(self._backoff * 2, FIRST_BACKOFF_SECONDS)
                    self._backoff = min(longer, LONGEST_BACKOFF_SECONDS)
                    return
            else:
                self._backoff = 0.0
                task.next_at = now + task.every

    def gate_changed(self) -> None:
        """Make the gate's tasks due."""
        for task in self.tasks:
            if task.on_gate:
                task.next_at = 0.0

    @property
    def pause(self) -> float:
        """Seconds until the next ``run_due``."""
        return max(self._backoff, SECOND)

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

    def _periodic_tasks(self) -> list[PeriodicTask]:
        has, W = self._if_waiting, Waiting
        rescue = has(W.DUE_CYCLES, partial(maintenance.rescue, settings.ORBIT_WORKERS))
        promote = has(W.QUEUED_CYCLES, namespace_queue.promote_waiting)
        look_for_suspected = has(W.SUSPECTED_CYCLES, self._look_for_suspected)
        wake_operations = has(W.OPERATIONS, maintenance.wake_operations)
        follow = RunProfileSchedules(settings.ORBIT_TIME_ZONE).follow
        ensure_partitions = partial(partitions.ensure, self._log.report)
        newest, profiles = self._if_newest, RUN_PROFILES_SECONDS
        close, certify = halt_certificates.close_abandoned, halt_certificates.certify
        # fmt: off
        return [
            # First: the others look which cluster is the newest.
            PeriodicTask("Can't write the heartbeat", HEARTBEAT_SECONDS, self.heartbeat),
            PeriodicTask("Can't complete namespaces", HEARTBEAT_SECONDS, registry.complete),
            PeriodicTask("Can't update the schedules", RECONCILE_SECONDS, newest(_sync)),
            PeriodicTask("Can't update run profiles' schedules", profiles, newest(follow)),
            PeriodicTask("Can't save the endpoints", MINUTE, newest(enqueue.restore_configured)),
            PeriodicTask("Can't create partitions", PARTITIONS_SECONDS, ensure_partitions),
            PeriodicTask("Can't watch the forwarder", SECOND, self.forwarder.watch),
            PeriodicTask("Can't watch the conductor's upkeep", SECOND, self.conductor.watch),
            PeriodicTask("Can't watch the sender of alerts", SECOND, self.alerts.watch),
            PeriodicTask("Can't forward events", SECOND, has(W.OUTBOX, self.forwarder.wake)),
            PeriodicTask("Can't wake the conductor", SECOND, has(W.CONDUCTOR, self.conductor.wake)),
            PeriodicTask("Can't wake the sender", SECOND, has(W.ALERTS, self.alerts.wake)),
            PeriodicTask("Can't enqueue due ticks", SECOND, has(W.SCHEDULES, self._enqueue_due)),
            PeriodicTask("Can't enqueue lost ticks", SECOND, has(W.TICKS, ledger.enqueue_lost)),
            PeriodicTask("Can't lift expired stops", SECOND, has(W.STOPS, _lift_expired)),
            PeriodicTask("Can't close abandoned attempts", SECOND, has(W.STOPS, close)),
            PeriodicTask("Can't certify quiet halts", SECOND, has(W.STOPS, certify)),
            PeriodicTask("Can't promote queued cycles", SECOND, promote, on_gate=True),
            PeriodicTask("Can't rescue due cycles", SECOND, rescue, on_gate=True),
            PeriodicTask("Can't look for suspected cycles", SECOND, look_for_suspected),
            PeriodicTask("Can't wake late operation runs", SECOND, wake_operations),
            PeriodicTask("Can't count deliveries and cycles", ROLLUP_SECONDS, counts.catch_up),
            *_follow_up(),
            PeriodicTask("Can't start periodic work", WORK_SECONDS, self._start_work),
            PeriodicTask("Can't log the audit trail's head", DAY, head.log_head),
        ]
        # fmt: on

    def _if_newest(self, act: Callable[[], object]) -> Callable[[], None]:
        # During a rolling update two configurations are alive, and must not take turns.
        def run() -> None:
            if maintenance.is_newest_cluster(self.node):
                act()

        return run

    def _if_waiting(self, kind: Waiting, act: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            if self._waiting.has(kind):
                act()

        return run

    def _start_work(self) -> None:
        if self._is_new:
            # What the last cluster left behind doesn't wait for its minute. Of clusters that start
            # together, the first one's run is enough.
            periodic.hasten(adapter_runs.TYPE, since=self.node)
            self._is_new = False
        periodic.start_due(
            tasks.periodic_work(), wake=lambda run: queue.wake(queue.OPERATE, str(run))
        )

    def _enqueue_due(self) -> None:
        for problem in ledger.enqueue_due():
            self._log.report(problem.split(":")[0], problem)

    def _do_all_again(self) -> None:
        # The next connection may reach a server that doesn't have what was written.
        self._waiting.doubt()
        for task in self.tasks:
            if task.every < DAY:
                task.next_at = 0.0

    def _look_for_suspected(self) -> None:
        if lease.is_suspected_due(cursor=self._suspected):
            self._request_lone_worker()

    def _failed(self, task: PeriodicTask, error: Exception, now: float) -> None:
        self._log.report(task.failure, error)
        # Rare tasks are tried again in a minute, frequent ones in a second.
        task.next_at = now + (MINUTE if task.every in {HOUR, DAY} else SECOND)
        connection.close()


def run(
    *,
    node: UUID,
    supervisor: int,
    stopping: Callable[[], bool],
    workers_gone: Callable[[], bool],
    request_lone_worker: Callable[[], None],
) -> None:
    """Run the tasks until this process drains.

    When the cluster stops, keep its row until its workers are gone.
    """
    periodic = Maintenance(node, supervisor, request_lone_worker)
    listener = Listener(gate.CHANNEL, heeds_signals=True, verify_seconds=GATE_PROOF_SECONDS)
    while not interrupts.process.draining:
        now = time.monotonic()
        periodic.run_due(now)
        if _wait_for_gate(listener, now + periodic.pause):
            periodic.gate_changed()
    listener.close()
    periodic.forwarder.end(PHASE_SECONDS)
    periodic.conductor.end(PHASE_SECONDS)
    periodic.alerts.end(PHASE_SECONDS)
    _sleep(time.monotonic() + PHASE_SECONDS, unless=stopping)
    # Only this process was asked to end: the supervisor starts another, which keeps the row.
    if not stopping():
        return
    try:
        periodic.heartbeat()
        while not workers_gone():
            _sleep(time.monotonic() + HEARTBEAT_SECONDS, unless=workers_gone)
            periodic.heartbeat()
        maintenance.deregister(node)
    except (DatabaseError, InterfaceError) as error:
        log.warning(
            "This cluster's row is left for another cluster to delete: %s",
            " ".join(str(error).split()),
        )


def _database_is_down() -> bool:
    """Tell a database that is down, or read-only, from a held lock."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(availability.IS_READ_ONLY)
            if cursor.fetchone() == (True,):
                connection.close()
                return True
    except (OperationalError, InterfaceError):
        connection.close()
        return True
    return False


def _follow_up() -> list[PeriodicTask]:
    """Return the tasks for what follows a proposal and its approval."""
    supersede = expiry.Superseding().end_outdated
    end_probations = probation_end.Sweep().end_due
    resolve = track_record_end.Sweep().resolve_due
    return [
        PeriodicTask("Can't supersede proposals", PROPOSALS_SECONDS, supersede),
        PeriodicTask("Can't end probations", PROPOSALS_SECONDS, end_probations),
        PeriodicTask("Can't resolve track records", MINUTE, resolve),
    ]


def _sync() -> None:
    sync(schedules.table())


def _lift_expired() -> None:
    halts.lift_expired()
    pauses.lift_expired()


def _wait_for_gate(listener: Listener, until: float) -> bool:
    """Return True as soon as the gate changes."""
    while time.monotonic() < until and not interrupts.process.draining:
        interrupts.process.stamp()
        try:
            if listener.wait(min(until - time.monotonic(), LONGEST_WAIT_SECONDS)):
                return True
        except psycopg.Error:
            listener.close()
            time.sleep(SLICE_SECONDS)
    return False


def _sleep(until: float, *, unless: Callable[[], bool]) -> None:
    while time.monotonic() < until and not unless():
        interrupts.process.stamp()
        time.sleep(SLICE_SECONDS)
