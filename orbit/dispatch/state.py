"""What a worker process shares among its deliveries: caches, senders, queues."""

import random
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection

from governance.kernel import sql
from orbit.dispatch import endpoints, enqueue, limits
from orbit.dispatch.endpoints import Endpoint
from orbit.dispatch.senders import SenderPool
from orbit.outbound import secrets
from orbit.records import fence

READ_SNAPSHOT = sql.load(__name__, "read_snapshot")
_CACHED_ENDPOINTS = 256
# A slot waits this long for another one's look for the same snapshots.
TURN_SECONDS = 1.0
# Two waits for one endpoint that end this close to each other are for the same moment.
SAME_SECONDS, LONGEST_QUEUE_SECONDS = 1.0, 60.0


class DispatchState:
    """The senders, caches and queues of one worker process. Create it after the fork."""

    def __init__(self) -> None:
        self.senders = SenderPool()
        self.endpoints = EndpointCache()
        self.fingerprints = FingerprintCache()
        self.queue = EndpointQueue()
        # A slot that sleeps keeps its runner, and with it every other task of its worker.
        self._sleepers = threading.BoundedSemaphore(max(1, settings.ORBIT_CONCURRENCY // 2))

    def sleep(self, seconds: float) -> bool:
        """Sleep if few slots are sleeping. Return whether it slept."""
        if not self._sleepers.acquire(blocking=False):
            return False
        try:
            with fence.away():
                time.sleep(max(0.0, seconds))
        finally:
            self._sleepers.release()
        return True


class EndpointCache:
    """The endpoints of snapshots.

    A snapshot never changes, and its id never comes again: an entry whose row is lost isn't read.
    """

    def __init__(self) -> None:
        self._endpoints: OrderedDict[UUID, Endpoint | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, snapshot_id: UUID) -> Endpoint | None:
        """Return the endpoint of a snapshot, or None if no key opens it."""
        with self._lock:
            if snapshot_id in self._endpoints:
                self._endpoints.move_to_end(snapshot_id)
                return self._endpoints[snapshot_id]
        row = READ_SNAPSHOT.one(id=snapshot_id)
        if row is None:
            # A job's foreign key keeps its snapshot, so the job was read from another server.
            raise OperationalError(f"the endpoint snapshot {snapshot_id} is gone")
        endpoint: Endpoint | None = None
        try:
            document = secrets.unseal(bytes(row[0]), settings.ORBIT_ENCRYPTION_KEYS)
            endpoint = endpoints.from_snapshot(document)
        except (secrets.Unreadable, ValueError):
            pass
        with self._lock:
            self._endpoints[snapshot_id] = endpoint
            while len(self._endpoints) > _CACHED_ENDPOINTS:
                self._endpoints.popitem(last=False)
        return endpoint


class FingerprintCache:
    """The fingerprints of the configured endpoints, whose snapshots are saved at first use.

    A fingerprint is computed, so it is right after a lost commit too: ``enqueue.commit`` saves the
    snapshot again.
    """

    def __init__(self) -> None:
        self._fingerprints: dict[tuple[str, str], tuple[Endpoint, str]] = {}
        # One slot looks for all: each would open a connection for it, and need it for nothing else.
        self._turn = threading.Lock()

    def get(self, endpoint: Endpoint) -> str:
        """Return the fingerprint of the snapshot of ``endpoint``."""
        place = (str(connection.settings_dict["NAME"]), endpoint.key)
        fingerprint = self._known(place, endpoint)
        if fingerprint is not None:
            return fingerprint
        has_turn = self._turn.acquire(timeout=TURN_SECONDS)
        try:
            fingerprint = self._known(place, endpoint)
            if fingerprint is None:
                enqueue.snapshot_id(endpoint)
                fingerprint = enqueue.fingerprint_of(endpoint)
                self._fingerprints[place] = (endpoint, fingerprint)
            return fingerprint
        finally:
            if has_turn:
                self._turn.release()

    def _known(self, place: tuple[str, str], endpoint: Endpoint) -> str | None:
        entry = self._fingerprints.get(place)
        # An unchanged configuration keeps its endpoint objects, so identity is enough.
        return entry[1] if entry is not None and entry[0] is endpoint else None


@dataclass(slots=True)
class _Queue:
    opens: float
    turn: float


class EndpointQueue:
    """Turns at closed endpoints: waiters must not all come back at once."""

    def __init__(self) -> None:
        # In memory: with rows, an endpoint that is down would cost the others locks and writes.
        self._queues: dict[UUID, _Queue] = {}
        self._lock = threading.Lock()

    def join(self, endpoint: UUID, wait: float) -> float:
        """Return the seconds until a turn at an endpoint that opens in ``wait`` seconds."""
        now = time.monotonic()
        opens = now + wait
        with self._lock:
            queue = self._queues.get(endpoint)
            if queue is None or abs(queue.opens - opens) > SAME_SECONDS:
                queue = self._queues[endpoint] = _Queue(opens, opens)
            else:
                queue.turn += limits.SPACING.total_seconds()
            for past in [key for key, other in self._queues.items() if other.turn < now]:
                del self._queues[past]
            behind = queue.turn - opens
        if behind < LONGEST_QUEUE_SECONDS:
            return wait + behind
        # However long the queue, look again within a minute.
        return wait + random.uniform(0, LONGEST_QUEUE_SECONDS)  # noqa: S311 - guards nothing
