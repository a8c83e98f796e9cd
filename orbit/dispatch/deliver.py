"""Stage 4, second half: the jobs of one cycle, sent side by side, in waves no larger than the free sender threads.

The lane's thread owns the database; sender threads only send. An answer is written as soon as it is in, together with those that came
while the write before it ran. Waiting for a retry holds no worker: the caller gives the lease back until then.
"""

import functools
import math
import queue
import threading
import time

from django.conf import settings
from django.db import connection

from orbit import boundary
from orbit.boundary import Lane
from orbit.dispatch import claim, guarded, inquiry, judge, receipts
from orbit.dispatch import senders as pools
from orbit.dispatch.claim import Sending
from orbit.dispatch.endpoints import Delivery, Endpoint, build_request
from orbit.dispatch.guarded import Taken
from orbit.dispatch.inquiry import Reply
from orbit.dispatch.judge import Closed
from orbit.dispatch.senders import Senders
from orbit.dispatch.tally import Ending, Tally
from orbit.outbound import client
from orbit.outbound.client import Answer
from orbit.records import fence
from orbit.records.fence import Fenced, Work

# How long after its wave's longest total time-out a lane may take to write the answers.
GRACE_SECONDS = 10
# How long an answer waits for the next one of its wave: no longer than the commit takes that it may save.
GATHER_SECONDS = 0.002
BEAT_SECONDS = 1.0
# Retries that are due this soon after the first one go with it.
TOGETHER_SECONDS = 0.05
# A due job that the claim did not take: the gate is closed, or the clocks differ.
LOOK_AGAIN_SECONDS = 0.5
# A wait for a cap that is shorter is slept through, in no more than some of the lanes; for a longer one the cycle is given back.
REST_SECONDS = 1.0
_resting = threading.BoundedSemaphore(max(1, settings.ORBIT_LANES // 2))

_Back = tuple[Sending, Answer | None, Reply | None]


class Hung(RuntimeError):
    """A sender did not come back within its deadline and the grace after it."""


def run(work: Work, tally: Tally, ending: Ending, *, worker: str) -> float | None:
    """Send what is due of ``tally``; return the seconds until there is more to do, or None when the ending is written.

    When the stage's time is over the ending is written with jobs still open: they go on outside of the cycle's active window. Raises Fenced,
    and Stop at the boundary before a wave. After a crash, attempts whose receipt says ``sending`` may have arrived.
    """
    while tally.open:
        if tally.left() <= 0:
            close(work, [], tally, ending, outlived=True)
            return None
        if tally.wait() > TOGETHER_SECONDS:
            return min(tally.wait(), tally.left())
        time.sleep(max(0.0, tally.gather(TOGETHER_SECONDS)))
        boundary.process.check()
        if not boundary.lane().holds:
            return 0.0
        boundary.act(settings.ORBIT_LEASE_SECONDS)
        senders = pools.pool()
        taken = senders.take(tally.due(), timeout=1.0)
        if not taken:
            continue
        found = _claim(work, taken, worker, senders)
        if found.expired:
            close(work, [judge.expired(sending) for sending in found.expired], tally, ending)
        elif not found.sendings:
            wait = min(LOOK_AGAIN_SECONDS if found.wait is None else found.wait, tally.left(), tally.next_wait())
            if found.wait is None or not _rest(wait):
                return wait
        if found.sendings:
            _send(work, found.sendings, tally, ending, senders)
    return None


def _claim(work: Work, taken: int, worker: str, senders: Senders) -> Taken:
    """Claim what the ``taken`` senders can carry; what caps and circuits hold back is looked at only where something is left."""
    sendings: list[Sending] = []
    more = Taken()
    try:
        sendings = claim.wave(work, limit=taken, worker=worker)
        if len(sendings) < taken:
            more = guarded.wave(work, limit=taken - len(sendings), worker=worker)
    except fence.AWAY:
        if not sendings:
            senders.give(taken)
            raise
        # What the first claim took is on record as being sent: it is sent.
        connection.close()
    except BaseException:
        senders.give(taken)
        raise
    sendings += more.sendings
    senders.give(taken - len(sendings))
    return Taken(sendings, more.expired, more.wait)


def _rest(wait: float) -> bool:
    """Sleep for ``wait`` seconds where that is short and few lanes do; tell whether it was done."""
    if wait > REST_SECONDS or not _resting.acquire(blocking=False):
        return False
    try:
        time.sleep(max(0.0, wait))
    finally:
        _resting.release()
    return True


def _send(work: Work, sendings: list[Sending], tally: Tally, ending: Ending, senders: Senders) -> None:
    """Send one wave and write each answer as it comes; the last write carries the ending when nothing stays open."""
    longest = max((_longest(sending) for sending in sendings), default=0.0)
    boundary.act(longest + GRACE_SECONDS)
    inbox: queue.SimpleQueue[_Back] = queue.SimpleQueue()
    lane = boundary.lane()
    for sending in sendings:
        senders.submit(functools.partial(_send_one, work, sending, inbox, senders, lane))
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


def _longest(sending: Sending) -> float:
    """Return how many seconds an attempt may take: an inquiry has the same time as the request."""
    if sending.endpoint is None:
        return 0.0
    return sending.endpoint.total_timeout * (2 if _asks(sending) else 1)


def _asks(sending: Sending) -> bool:
    return sending.asks and sending.endpoint is not None and sending.endpoint.inquiry_url is not None


def _gather(work: Work, inbox: "queue.SimpleQueue[_Back]", most: int, longest: float) -> list[Closed]:
    """Return the next attempts that ended, at least one; those that come close together share a commit. Raises Hung."""
    came: list[_Back] = []
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
    return [judge.ended(*back) for back in came]


def close(work: Work, closed: list[Closed], tally: Tally, ending: Ending, *, outlived: bool = False) -> None:
    """Write the ends of attempts, and with the last of them, or where open jobs have ``outlived`` the stage's time, the ending."""
    for item in closed:
        tally.take(item)
    write = fence.Write(work, ending.sql)
    receipts.put(write, closed)
    # Rows of the ending that stay empty cost nothing; one statement serves both.
    write.rows.update({"finishes": [], "ledger": []})
    if not tally.open:
        ending.put(write, tally, None)
    elif outlived:
        ending.put(write, tally, max(0.0, tally.wait()))
    receipts.commit(write, closed)
    for state_id in {item.sign.state_id for item in closed if item.sending.probe and item.sign is not None and item.sign.up}:
        guarded.wake(state_id)


def _send_one(work: Work, sending: Sending, inbox: "queue.SimpleQueue[_Back]", senders: Senders, lane: Lane) -> None:
    """Make one attempt, in a sender's thread. Whatever happens, the lane hears of it and the sender is free again.

    Nothing is sent once the lease may have run out: another worker may have sent it meanwhile, with success.
    """
    answer: Answer | None = None
    reply: Reply | None = None
    try:
        if sending.endpoint is not None and not boundary.process.drained:
            reply = inquiry.ask(sending.endpoint, sending.delivery_id) if _asks(sending) else None
            if (reply is None or judge.after_inquiry(sending, reply.found) is None) and lane.holds:
                answer = _request(work, sending, sending.endpoint)
    except Exception as exc:  # a request that can't even be built is an attempt that failed, not a lane that hangs
        answer = Answer(None, "unexpected", f"{type(exc).__name__}: {exc}", b"", None, 0.0, False, None)
    finally:
        senders.give(1)
        inbox.put((sending, answer, reply))


def _request(work: Work, sending: Sending, endpoint: Endpoint) -> Answer:
    delivery = Delivery(
        delivery_id=str(sending.delivery_id),
        content_type=sending.content_type,
        attempt=sending.attempt,
        namespace=work.namespace,
        profile_id=work.profile_id or "",
        run_profile_id=work.run_profile_id or "",
        cycle_id=str(work.id),
    )
    return client.send(build_request(endpoint, delivery, sending.body), allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
