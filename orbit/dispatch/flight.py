"""The requests of one cycle that are under way: sent in sender threads, and taken in by the lane as their answers come."""

import functools
import math
import queue

from django.conf import settings

from orbit import interrupts
from orbit.dispatch import inquiry, judge
from orbit.dispatch.claim import Sending
from orbit.dispatch.endpoints import Delivery, Endpoint, build_request
from orbit.dispatch.inquiry import Reply
from orbit.dispatch.judge import Closed
from orbit.dispatch.senders import Senders
from orbit.interrupts import Slot
from orbit.outbound import client
from orbit.outbound.client import Answer
from orbit.records.fence import ClaimedCycle

# How long after its wave's longest total time-out a lane may take to write the answers.
GRACE_SECONDS = 10
# How long an answer waits for the next one of its wave: no longer than the commit takes that it may save.
GATHER_SECONDS = 0.005

_Back = tuple[Sending, Answer | None, Reply | None]


class Hung(RuntimeError):
    """A sender did not come back within its deadline and the grace after it."""


class Flight:
    """What is under way for ``work``; ``left`` counts it."""

    def __init__(self, work: ClaimedCycle) -> None:
        self.left = 0
        self._work = work
        self._inbox: queue.SimpleQueue[_Back] = queue.SimpleQueue()
        self._longest = self._silent = 0.0

    def launch(self, sendings: list[Sending], senders: Senders) -> None:
        """Send ``sendings``, for each of which a sender was taken."""
        self._longest = max(
            [self._longest if self.left else 0.0, *(_longest(sending) for sending in sendings)]
        )
        self._silent = 0.0
        interrupts.act(self._longest + GRACE_SECONDS)
        self.left += len(sendings)
        slot = interrupts.slot()
        for sending in sendings:
            senders.submit(
                functools.partial(_send, self._work, sending, self._inbox, senders, slot)
            )

    def land(self, patience: float) -> list[Closed]:
        """Return the next attempts that ended, none after ``patience`` seconds without; those that come close together share a commit. Raises Hung."""
        came: list[_Back] = []
        while len(came) < self.left:
            try:
                came.append(self._inbox.get(timeout=GATHER_SECONDS if came else patience))
            except queue.Empty:
                break
        self.left -= len(came)
        # Counted in waits: a process that was stopped and goes on finds its senders late, not hung.
        self._silent = 0.0 if came else self._silent + patience
        if self._silent > math.ceil(self._longest + GRACE_SECONDS):
            raise Hung(f"{self.left} deliveries of cycle {self._work.id}")
        return [judge.ended(*back) for back in came]


def _longest(sending: Sending) -> float:
    """Return how many seconds an attempt may take: an inquiry has the same time as the request."""
    if sending.endpoint is None:
        return 0.0
    return sending.endpoint.total_timeout * (2 if _asks(sending) else 1)


def _asks(sending: Sending) -> bool:
    return (
        sending.asks and sending.endpoint is not None and sending.endpoint.inquiry_url is not None
    )


def _send(
    work: ClaimedCycle,
    sending: Sending,
    inbox: "queue.SimpleQueue[_Back]",
    senders: Senders,
    slot: Slot,
) -> None:
    """Make one attempt, in a sender's thread. Whatever happens, the lane hears of it and the sender is free again.

    Nothing is sent once the lease may have run out: another worker may have sent it meanwhile, with success. Nor is it where the gate was
    closed, or wasn't looked at just now.
    """
    answer: Answer | None = None
    reply: Reply | None = None
    try:
        if sending.endpoint is not None and not interrupts.process.drained and slot.open:
            reply = inquiry.ask(sending.endpoint, sending.delivery_id) if _asks(sending) else None
            if (
                (reply is None or judge.after_inquiry(sending, reply.found) is None)
                and slot.holds
                and slot.open
            ):
                answer = _request(work, sending, sending.endpoint)
    except (
        Exception
    ) as exc:  # a request that can't even be built is an attempt that failed, not a lane that hangs
        answer = Answer(
            None, "unexpected", f"{type(exc).__name__}: {exc}", b"", None, 0.0, False, None
        )
    finally:
        inbox.put((sending, answer, reply))
        took = answer.latency_ms / 1000 if isinstance(answer, Answer) else None
        senders.end(
            sending.state_id, took, heard=isinstance(answer, Answer) and answer.status is not None
        )


def _request(work: ClaimedCycle, sending: Sending, endpoint: Endpoint) -> Answer:
    delivery = Delivery(
        delivery_id=str(sending.delivery_id),
        content_type=sending.content_type,
        attempt=sending.attempt,
        namespace=work.namespace,
        profile_id=work.profile_id or "",
        run_profile_id=work.run_profile_id or "",
        cycle_id=str(work.id),
    )
    return client.send(
        build_request(endpoint, delivery, sending.body),
        allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS,
    )
