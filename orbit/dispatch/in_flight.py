"""The requests of one cycle that are in flight, and their answers.

The slot's thread writes requests to live connections itself, and waits for all their answers at
once. Senders do what may take long: a new connection, an inquiry, an unusual answer.
"""

import collections
import contextlib
import functools
import math
import os
import select
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from django.conf import settings

from governance.kernel import request_context
from orbit import interrupts
from orbit.dispatch.attempt import (
    AttemptResult,
    InquiryReply,
    after_inquiry,
    inquire,
    needs_inquiry,
    request_of,
    resolve,
)
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.senders import SenderPool
from orbit.interrupts import Slot
from orbit.outbound import client, exchange
from orbit.outbound.client import Response
from orbit.outbound.exchange import Exchange
from orbit.records.fence import ClaimedCycle

# How long a slot may take to write the answers, after the longest total time-out of its requests.
GRACE_SECONDS = 10
# An answer waits this long for the next one: no longer than the commit takes that it may save.
GATHER_SECONDS = 0.005
# Without a descriptor that tells of replies, a slot looks for them this often.
LOOK_SECONDS = 0.02

_Reply = tuple[ClaimedJob, Response | None, InquiryReply | None]
_Outcome = tuple[Response | None, InquiryReply | None]


class SendersHung(RuntimeError):
    """Senders missed their deadline and the grace after it."""


class InFlight:
    """The requests of one cycle that are in flight. Leave it as a context manager."""

    def __init__(self, cycle: ClaimedCycle, senders: SenderPool) -> None:
        self.count = 0
        self._cycle, self._senders = cycle, senders
        self._exchanges: dict[int, tuple[ClaimedJob, Exchange]] = {}
        self._sockets = select.poll()
        # Monotonic: no exchange is overdue before.
        self._due = math.inf
        #: Of senders: made with the first task for one, because most cycles need none.
        self._replies: _Replies | None = None
        self._longest = self._silent = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error: their answers have no reader, but their senders must become free.
        for fd in list(self._exchanges):
            self._hand_over(fd)

    def send(self, jobs: Sequence[ClaimedJob]) -> None:
        """Send ``jobs``; the caller has taken a sender for each."""
        longest = max((_longest_seconds(job) for job in jobs), default=0.0)
        self._longest = max(self._longest, longest) if self.count else longest
        self._silent = 0.0
        interrupts.act(self._longest + GRACE_SECONDS)
        self.count += len(jobs)
        slot, allowed = interrupts.slot(), tuple(settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
        for job in jobs:
            begun = _begin(self._cycle, job, slot, allowed)
            if begun is None:
                self._submit(job, functools.partial(_send, self._cycle, job, slot))
                continue
            fd = begun.fileno()
            self._exchanges[fd] = job, begun
            self._sockets.register(fd, select.POLLIN)
            self._due = min(self._due, begun.due)
            if begun.is_unusual:
                self._hand_over(fd)

    def collect(self, patience: float) -> list[AttemptResult]:
        """Return attempts that ended; [] after ``patience`` seconds. Raises SendersHung."""
        # Replies that come close together are returned together, so that they share a commit.
        replies: list[_Reply] = []
        while len(replies) < self.count:
            more = self._wait(GATHER_SECONDS if replies else patience)
            if not more:
                break
            replies += more
        self.count -= len(replies)
        # Counted in waits, not by a clock: a process that was suspended finds its senders late, not
        # hung.
        self._silent = 0.0 if replies else self._silent + patience
        if self._silent > math.ceil(self._longest + GRACE_SECONDS):
            raise SendersHung(f"{self.count} deliveries of cycle {self._cycle.id}")
        return [resolve(*reply) for reply in replies]

    def _wait(self, seconds: float) -> list[_Reply]:
        """Return replies as soon as there are any; [] after ``seconds``."""
        ends = time.monotonic() + seconds
        while True:
            left = min(ends, self._due) - time.monotonic()
            if self._replies is not None and not self._replies.are_told:
                left = min(left, LOOK_SECONDS)
            ready = self._sockets.poll(max(0, math.ceil(left * 1000)))
            replies = [reply for fd, _ in ready if (reply := self._read(fd))]
            self._senders.end_all((job.state_id, *_heard(answer)) for job, answer, _ in replies)
            self._finish_overdue()
            if self._replies is not None:
                replies += self._replies.take()
            if replies or time.monotonic() >= ends:
                return replies

    def _read(self, fd: int) -> _Reply | None:
        if self._replies is not None and fd == self._replies.fileno():
            self._replies.clear()
            return None
        job, begun = self._exchanges[fd]
        answer = begun.read()
        if answer is not None:
            self._forget(fd)
            return job, answer, None
        if begun.is_unusual:
            self._hand_over(fd)
        return None

    def _finish_overdue(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        for fd, (_, begun) in list(self._exchanges.items()):
            if begun.due <= now:
                self._hand_over(fd)
        self._due = min((begun.due for _, begun in self._exchanges.values()), default=math.inf)

    def _hand_over(self, fd: int) -> None:
        """Let a sender finish an exchange."""
        job, begun = self._exchanges[fd]
        self._forget(fd)
        self._submit(job, functools.partial(_finish, begun))

    def _forget(self, fd: int) -> None:
        del self._exchanges[fd]
        self._sockets.unregister(fd)

    def _submit(self, job: ClaimedJob, task: Callable[[], _Outcome]) -> None:
        if self._replies is None:
            self._replies = _Replies()
            if self._replies.are_told:
                self._sockets.register(self._replies, select.POLLIN)
        self._senders.submit(functools.partial(_run, task, job, self._replies, self._senders))


class _Replies:
    """The replies that senders hand to a slot, and a descriptor that tells it of them."""

    def __init__(self) -> None:
        self._replies: collections.deque[_Reply] = collections.deque()
        self._reader = self._writer = -1
        self._is_told = False
        # A cycle must not fail because too many files are open.
        with contextlib.suppress(OSError):
            self._reader, self._writer = os.pipe()

    def __del__(self) -> None:
        # The slot may be gone before a sender that hangs: the last one closes it.
        if self.are_told:
            os.close(self._reader)
            os.close(self._writer)

    @property
    def are_told(self) -> bool:
        """Whether there is a descriptor to poll."""
        return self._reader >= 0

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._reader

    def put(self, reply: _Reply) -> None:
        """Add a reply. Wake the slot once for all that it hasn't heard of."""
        self._replies.append(reply)
        if self.are_told and not self._is_told:
            self._is_told = True
            os.write(self._writer, b".")

    def clear(self) -> None:
        """Forget the wake-ups; the descriptor must be readable. ``take`` must follow."""
        os.read(self._reader, 64)
        # Before ``take``: a reply that comes later wakes the slot again.
        self._is_told = False

    def take(self) -> list[_Reply]:
        """Return the replies that are there."""
        return [self._replies.popleft() for _ in range(len(self._replies))]


def _longest_seconds(job: ClaimedJob) -> float:
    if job.endpoint is None:
        return 0.0
    # An inquiry has the same time as the request.
    return job.endpoint.total_timeout * (2 if needs_inquiry(job) else 1)


def _begin(
    cycle: ClaimedCycle, job: ClaimedJob, slot: Slot, allowed: tuple[str, ...]
) -> Exchange | None:
    """Send a job's request at once if a live connection waits for it."""
    if job.endpoint is None or needs_inquiry(job):
        return None
    try:
        request = request_of(cycle, job, job.endpoint)
    except Exception:  # a sender reports it
        return None
    # Right before the bytes leave, as in ``_send``.
    if not _may_leave(slot):
        return None
    return exchange.begin(request, allowed=allowed)


def _run(
    task: Callable[[], _Outcome], job: ClaimedJob, replies: _Replies, senders: SenderPool
) -> None:
    answer: Response | None = None
    reply: InquiryReply | None = None
    try:
        answer, reply = task()
    except Exception as exc:
        # A request that can't even be built is a failed attempt; the slot must not hang for it.
        error = f"{type(exc).__name__}: {exc}"
        answer = Response(None, "unexpected", error, b"", None, 0.0, False, None)
    finally:
        # Whatever happened: else the slot waits for this reply, and the sender is lost.
        replies.put((job, answer, reply))
        seconds, answered = _heard(answer)
        senders.end(job.state_id, seconds, answered=answered)


def _heard(answer: Response | None) -> tuple[float | None, bool]:
    """Return how long a request took, and whether it was answered."""
    if answer is None:
        return None, False
    return answer.latency_ms / 1000, answer.status is not None


def _finish(begun: Exchange) -> _Outcome:
    return begun.finish(), None


def _send(cycle: ClaimedCycle, job: ClaimedJob, slot: Slot) -> _Outcome:
    reply: InquiryReply | None = None
    if job.endpoint is None or interrupts.process.drained or not slot.open:
        return None, None
    if needs_inquiry(job):
        reply = inquire(job.endpoint, job.delivery_id)
    may_send = reply is None or after_inquiry(job, reply.inquiry) is None
    # Checked again because the inquiry took time.
    if not may_send or not _may_leave(slot):
        return None, reply
    with request_context.about(cycle.id, job.delivery_id):
        answer = client.send(
            request_of(cycle, job, job.endpoint),
            allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS,
            may_send=functools.partial(_may_leave, slot),
        )
    return (None if answer.error_class == "withheld" else answer), reply


def _may_leave(slot: Slot) -> bool:
    # After the lease another worker may have sent it. With a closed or unread gate nothing may
    # leave.
    return not interrupts.process.drained and slot.holds and slot.open
