"""Stage 4, second half: the jobs of one cycle, sent side by side, in waves no larger than the free sender threads.

The lane's thread owns the database; sender threads only send. An answer is written as soon as it is in, together with those that came
while the write before it ran. Waiting for a retry holds no worker: the caller gives the lease back until then.
"""

import math
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from orbit import boundary
from orbit.dispatch import claim, receipts
from orbit.dispatch.claim import Sending
from orbit.dispatch.endpoints import Delivery, build_request
from orbit.dispatch.receipts import Closed
from orbit.outbound import client
from orbit.outbound.client import Answer
from orbit.records import fence
from orbit.records.fence import Fenced, Work
from orbit.states import Job

SENDERS = 16
# How long after its wave's longest total time-out a lane may take to write the answers.
GRACE_SECONDS = 10
# How long an answer waits for the next one of its wave: no longer than the commit takes that it may save.
GATHER_SECONDS = 0.002
BEAT_SECONDS = 1.0
# A due job that the claim did not take: the gate is closed, or the clocks differ.
LOOK_AGAIN_SECONDS = 0.5


@dataclass(slots=True)
class Tally:
    """The jobs of one cycle: those still open with the moment (monotonic seconds) at which each is due, and how the others ended.

    Jobs ``aside`` are sent like all others and not counted: requeued ones of a cycle that still runs.
    """

    open: dict[UUID, float] = field(default_factory=dict)
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    aside: set[UUID] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.open) + self.delivered + self.dead + self.cancelled

    def take(self, item: Closed) -> None:
        """Count the end of an attempt."""
        job = item.sending.job_id
        if item.move.status == Job.PENDING:
            self.open[job] = time.monotonic() + (item.move.wait or 0.0)
            return
        self.open.pop(job, None)
        if job in self.aside:
            return
        if item.move.status == Job.DELIVERED:
            self.delivered += 1
        elif item.move.status == Job.DEAD:
            self.dead += 1
        else:
            self.cancelled += 1

    def wait(self) -> float:
        """Seconds until the next open job is due; zero or less when one is."""
        return min(self.open.values()) - time.monotonic()


@dataclass(frozen=True, slots=True)
class Ending:
    """What the cycle adds to the write that closes its last job: the statement that can hold both, and the rows."""

    sql: str
    put: Callable[[fence.Write, Tally], None]


class Hung(RuntimeError):
    """A sender did not come back within its deadline and the grace after it."""


class _Senders:
    """The sender threads of this process and the count of the free ones; made anew after a fork."""

    def __init__(self, size: int) -> None:
        self.pid = os.getpid()
        self.pool = ThreadPoolExecutor(size, thread_name_prefix="sender")
        self._free = size
        self._changed = threading.Condition()

    def take(self, most: int, timeout: float) -> int:
        """Take up to ``most`` free senders; wait for one, at most ``timeout`` seconds; return how many."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, timeout)
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def give(self, count: int) -> None:
        with self._changed:
            self._free += count
            self._changed.notify_all()


_senders: _Senders | None = None
_making = threading.Lock()


def _pool() -> _Senders:
    global _senders
    with _making:
        if _senders is None or _senders.pid != os.getpid():
            _senders = _Senders(SENDERS)
        return _senders


def run(work: Work, tally: Tally, ending: Ending, *, worker: str) -> float | None:
    """Send what is due of ``tally``; return the seconds until the next job is due, or None when none is open and the ending is written.

    Raises Fenced, and Stop at the boundary before a wave. After a crash, attempts whose receipt says ``sending`` may have arrived.
    """
    while tally.open:
        if tally.wait() > 0:
            return tally.wait()
        boundary.process.check()
        boundary.act(settings.ORBIT_LEASE_SECONDS)
        due = sum(1 for at in tally.open.values() if at <= time.monotonic())
        senders = _pool()
        taken = senders.take(due, timeout=1.0)
        if not taken:
            continue
        try:
            sendings = claim.wave(work, limit=taken, worker=worker)
        except BaseException:
            senders.give(taken)
            raise
        senders.give(taken - len(sendings))
        if not sendings:
            return LOOK_AGAIN_SECONDS
        _send(work, sendings, tally, ending, senders)
    return None


def _send(work: Work, sendings: list[Sending], tally: Tally, ending: Ending, senders: _Senders) -> None:
    """Send one wave and write each answer as it comes; the last write carries the ending when nothing stays open."""
    longest = max((s.endpoint.total_timeout for s in sendings if s.endpoint), default=0.0)
    boundary.act(longest + GRACE_SECONDS)
    inbox: queue.SimpleQueue[tuple[Sending, Answer | None]] = queue.SimpleQueue()
    for sending in sendings:
        senders.pool.submit(_send_one, work, sending, inbox, senders)
    left = len(sendings)
    while left:
        came = _gather(work, inbox, left, longest)
        left -= len(came)
        try:
            close(work, came, tally, ending)
        except Fenced:
            # The cycle is another's; a 2xx that is still to come is ours to bring home.
            while left:
                came = _gather(work, inbox, left, longest)
                left -= len(came)
                receipts.bring_home(work, came)
            raise


def _gather(work: Work, inbox: "queue.SimpleQueue[tuple[Sending, Answer | None]]", most: int, longest: float) -> list[Closed]:
    """Return the next answers, at least one; those that come close together share a commit. Raises Hung."""
    came: list[tuple[Sending, Answer | None]] = []
    # Counted in beats: a process that was stopped and goes on finds its senders late, not hung.
    beats = math.ceil((longest + GRACE_SECONDS) / BEAT_SECONDS)
    while not came:
        try:
            came.append(inbox.get(timeout=BEAT_SECONDS))
        except queue.Empty:
            beats -= 1
            if beats <= 0:
                raise Hung(f"{most} deliveries of cycle {work.id}") from None
    while len(came) < most:
        try:
            came.append(inbox.get(timeout=GATHER_SECONDS))
        except queue.Empty:
            break
    return [receipts.judge(sending, answer) for sending, answer in came]


def close(work: Work, closed: list[Closed], tally: Tally, ending: Ending) -> None:
    """Write the ends of attempts, and with the last of them the ending."""
    for item in closed:
        tally.take(item)
    write = fence.Write(work, ending.sql)
    receipts.put(write, closed)
    # Rows of the ending that stay empty cost nothing; one statement serves both.
    write.rows.update({"finishes": [], "ledger": []})
    if not tally.open:
        ending.put(write, tally)
    receipts.commit(write, closed)


def _send_one(work: Work, sending: Sending, inbox: "queue.SimpleQueue[tuple[Sending, Answer | None]]", senders: _Senders) -> None:
    """Make one request, in a sender's thread. Whatever happens, the lane hears of it and the sender is free again."""
    answer: Answer | None = None
    try:
        if sending.endpoint is not None and not boundary.process.drained:
            delivery = Delivery(
                delivery_id=str(sending.delivery_id),
                content_type=sending.content_type,
                attempt=sending.attempt,
                namespace=work.namespace,
                profile_id=work.profile_id or "",
                run_profile_id=work.run_profile_id or "",
                cycle_id=str(work.id),
            )
            request = build_request(sending.endpoint, delivery, sending.body)
            answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    except Exception as exc:  # a request that can't even be built is an attempt that failed, not a lane that hangs
        answer = Answer(None, "unexpected", f"{type(exc).__name__}: {exc}", b"", None, 0.0, False, None)
    finally:
        senders.give(1)
        inbox.put((sending, answer))
