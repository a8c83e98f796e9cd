"""One delivery attempt: prepare, send, classify, resolve.

The way of a retry:

1. ``first_wave`` inserts the job as ``sending``, or ``claim`` moves it there; with its receipt, in
   one commit.
2. A sender makes the request (``_send``). ``InFlight.collect`` takes its answer, and ``outcome``
   decides what becomes of the job.
3. ``receipts`` writes that: the job is ``pending`` again and due at ``next_attempt_at``.
4. ``loop`` sleeps through a short wait, or returns it. ``cycles.advance`` then gives the cycle back
   with that time in ``next_due_at``; a worker claims it, and ``loop`` claims the job again.

If the process dies after 1, the receipt still says ``sending``. The next worker closes it as
unknown (``abandon``) and sends again under the same key, so a receiver that ignores Idempotency-Key
may act twice.
"""

import functools
import math
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from governance.kernel import request_context
from orbit import interrupts
from orbit.dispatch import outcome
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.endpoints import Delivery, Endpoint, build_request
from orbit.dispatch.limits import EndpointObservation
from orbit.dispatch.outcome import AnswerKind, Inquiry, JobTransition, RetryPolicy
from orbit.dispatch.senders import SenderPool
from orbit.interrupts import Slot
from orbit.outbound import client
from orbit.outbound.client import Response
from orbit.records.execution import clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Attempt, Job
from orbit.tracing import report, spans

# How long a slot may take to write the answers, after the longest total time-out of its requests.
GRACE_SECONDS = 10
# An answer waits this long for the next one: no longer than the commit takes that it may save.
GATHER_SECONDS = 0.005
# Errors that say nothing about the endpoint: Orbit refused, or could not build the request.
_OWN_FAULTS = {"refused", "unexpected"}
# With a Retry-After these ask all clients to wait (RFC 6585, section 4; RFC 9110, section 15.6.4).
_ASKS_TO_WAIT = {429, 503}


class SendersHung(RuntimeError):
    """Senders missed their deadline and the grace after it."""


@dataclass(frozen=True, slots=True)
class InquiryReply:
    """The result of an inquiry, and a note for operators."""

    inquiry: Inquiry
    note: str


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt that has ended, and its job's next state."""

    job: ClaimedJob
    answer: Response | None
    status: Attempt
    transition: JobTransition
    error: str
    #: An inquiry found that an earlier attempt had arrived.
    confirms: bool = False
    #: What the attempt says about its endpoint, if anything.
    observation: EndpointObservation | None = None

    @property
    def failed(self) -> bool:
        """Whether a request was or may have been sent, without a 2xx."""
        return self.job.receipt_id is not None and self.status in {Attempt.FAILED, Attempt.UNKNOWN}


_Reply = tuple[ClaimedJob, Response | None, InquiryReply | None]


class InFlight:
    """The requests of one cycle that are in flight."""

    def __init__(self, cycle: ClaimedCycle) -> None:
        self.count = 0
        self._cycle = cycle
        self._replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        self._longest = self._silent = 0.0

    def send(self, jobs: Sequence[ClaimedJob], senders: SenderPool) -> None:
        """Send ``jobs``; the caller has taken a sender for each."""
        longest = max((_longest_seconds(job) for job in jobs), default=0.0)
        self._longest = max(self._longest, longest) if self.count else longest
        self._silent = 0.0
        interrupts.act(self._longest + GRACE_SECONDS)
        self.count += len(jobs)
        slot = interrupts.slot()
        for job in jobs:
            senders.submit(functools.partial(_send, self._cycle, job, self._replies, senders, slot))

    def collect(self, patience: float) -> list[AttemptResult]:
        """Return attempts that ended; [] after ``patience`` seconds. Raises SendersHung."""
        # Replies that come close together are returned together, so that they share a commit.
        replies: list[_Reply] = []
        while len(replies) < self.count:
            try:
                replies.append(self._replies.get(timeout=GATHER_SECONDS if replies else patience))
            except queue.Empty:
                break
        self.count -= len(replies)
        # Counted in waits, not by a clock: a process that was suspended finds its senders late, not
        # hung.
        self._silent = 0.0 if replies else self._silent + patience
        if self._silent > math.ceil(self._longest + GRACE_SECONDS):
            raise SendersHung(f"{self.count} deliveries of cycle {self._cycle.id}")
        return [resolve(*reply) for reply in replies]


def _longest_seconds(job: ClaimedJob) -> float:
    if job.endpoint is None:
        return 0.0
    # An inquiry has the same time as the request.
    return job.endpoint.total_timeout * (2 if _needs_inquiry(job) else 1)


def _needs_inquiry(job: ClaimedJob) -> bool:
    return (
        job.may_have_arrived and job.endpoint is not None and job.endpoint.inquiry_url is not None
    )


# --- Prepare and send, in a sender's thread --------------------------------------------------


def _send(
    cycle: ClaimedCycle,
    job: ClaimedJob,
    replies: "queue.SimpleQueue[_Reply]",
    senders: SenderPool,
    slot: Slot,
) -> None:
    answer: Response | None = None
    reply: InquiryReply | None = None
    try:
        if job.endpoint is not None and not interrupts.process.drained and slot.open:
            if _needs_inquiry(job):
                reply = inquire(job.endpoint, job.delivery_id)
            may_send = reply is None or after_inquiry(job, reply.inquiry) is None
            # After the lease another worker may have sent it. With a closed or unread gate nothing
            # may leave. Checked again here because the inquiry took time.
            if may_send and slot.holds and slot.open:
                with request_context.about(cycle.id, job.delivery_id):
                    answer = _request(cycle, job, job.endpoint)
    except Exception as exc:
        # A request that can't even be built is a failed attempt; the slot must not hang for it.
        error = f"{type(exc).__name__}: {exc}"
        answer = Response(None, "unexpected", error, b"", None, 0.0, False, None)
    finally:
        # Whatever happened: else the slot waits for this reply, and the sender is lost.
        replies.put((job, answer, reply))
        seconds = answer.latency_ms / 1000 if answer is not None else None
        answered = answer is not None and answer.status is not None
        senders.end(job.state_id, seconds, answered=answered)


def _request(cycle: ClaimedCycle, job: ClaimedJob, endpoint: Endpoint) -> Response:
    delivery = Delivery(
        delivery_id=str(job.delivery_id),
        content_type=job.content_type,
        attempt=job.attempt,
        namespace=cycle.namespace,
        profile_id=cycle.profile_id or "",
        run_profile_id=cycle.run_profile_id or "",
        cycle_id=str(cycle.id),
        traceparent=report.header(
            cycle.id, cycle.traceparent, spans.delivery_key(job.job_id, job.attempt)
        ),
    )
    request = build_request(endpoint, delivery, job.body)
    return client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)


def inquire(endpoint: Endpoint, delivery_id: UUID) -> InquiryReply:
    """GET ``inquiry_url``: 200 if the receiver has the delivery, 404 if not. Never raises."""
    request = client.Request(
        "GET",
        (endpoint.inquiry_url or "").replace("{id}", str(delivery_id)),
        {**endpoint.headers, "Authorization": f"Bearer {endpoint.token}"},
        b"",
        endpoint.connect_timeout,
        endpoint.read_timeout,
        endpoint.total_timeout,
        endpoint.ca_bundle,
    )
    answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    if answer.status == 200:
        return InquiryReply(Inquiry.HELD, "the receiver has it (inquiry answered 200)")
    if answer.status == 404:
        return InquiryReply(Inquiry.MISSING, "the receiver doesn't have it (inquiry answered 404)")
    error = answer.refusal if answer.status is not None else answer.error
    return InquiryReply(Inquiry.SILENT, f"the inquiry brought no answer: {error}")


# --- Classify and resolve ---------------------------------------------------------------------


def resolve(
    job: ClaimedJob, answer: Response | None, reply: InquiryReply | None = None
) -> AttemptResult:
    """Return the result of an attempt; without answer and reply: unsent."""
    if job.endpoint is None:
        return _unsent(
            job,
            JobTransition(Job.DEAD, 0, reason="unreadable_snapshot"),
            "no key of ORBIT_ENCRYPTION_KEYS opens the endpoint's snapshot",
        )
    if answer is not None:
        return _answered(job, job.endpoint, answer)
    transition = after_inquiry(job, reply.inquiry) if reply is not None else None
    if reply is None or transition is None:
        return _unsent(job, JobTransition(Job.PENDING, 0, wait=0.0), "stopped before it was sent")
    return AttemptResult(
        job,
        None,
        Attempt.UNSENT,
        transition,
        clean(reply.note),
        confirms=reply.inquiry == Inquiry.HELD,
        observation=_observe_reply(job, job.endpoint, reply),
    )


def after_inquiry(job: ClaimedJob, inquiry: Inquiry) -> JobTransition | None:
    """Return the job's next state after an inquiry. None: send it now."""
    return outcome.decide_inquiry(inquiry, _policy(job), hold=_holds(job))


def abandon(job: ClaimedJob, *, cancelled: bool = False, requeued: bool = False) -> AttemptResult:
    """Return the result of an attempt whose worker died: unknown."""
    if not cancelled:
        transition = _decide_unknown(job)
    elif requeued:
        # Its first letter is closed: cancelled, the delivery could never be sent again.
        transition = JobTransition(Job.DEAD, 1, reason="cancelled")
    else:
        transition = JobTransition(Job.CANCELLED, 1)
    return AttemptResult(job, None, Attempt.UNKNOWN, transition, "the worker that sent it was lost")


def expire(job: ClaimedJob) -> AttemptResult:
    """Return the result of a job whose endpoint was down too long."""
    return _unsent(
        job,
        JobTransition(Job.DEAD, 0, reason="endpoint_down"),
        "the endpoint has been down for more than 24 hours",
    )


def _unsent(job: ClaimedJob, transition: JobTransition, error: str) -> AttemptResult:
    return AttemptResult(job, None, Attempt.UNSENT, transition, error)


def _answered(job: ClaimedJob, endpoint: Endpoint, answer: Response) -> AttemptResult:
    kind = outcome.classify(answer, permanent=endpoint.permanent_statuses)
    status = outcome.attempt_status(answer)
    is_delivered = isinstance(kind, outcome.Delivered)
    error = "" if is_delivered else clean(_why(answer))
    return AttemptResult(
        job,
        answer,
        status,
        _decide_unknown(job) if status == Attempt.UNKNOWN else outcome.decide(kind, _policy(job)),
        error,
        observation=_observe(job, answer, kind, error),
    )


def _why(answer: Response) -> str:
    # Where the receiver has moved to says more than why its body isn't whole.
    return answer.refusal if answer.location else answer.error or answer.refusal


def _decide_unknown(job: ClaimedJob) -> JobTransition:
    inquiry = bool(job.endpoint and job.endpoint.inquiry_url)
    return outcome.decide_unknown(_policy(job), inquiry=inquiry, hold=_holds(job))


def _holds(job: ClaimedJob) -> bool:
    return job.endpoint is not None and job.endpoint.on_unknown == "hold"


def _observe(
    job: ClaimedJob, answer: Response, kind: AnswerKind, error: str
) -> EndpointObservation | None:
    if job.state_id is None or answer.error_class in _OWN_FAULTS:
        return None
    pause = None
    if (
        isinstance(kind, outcome.Retry)
        and answer.status in _ASKS_TO_WAIT
        and kind.after is not None
    ):
        pause = min(kind.after, settings.ORBIT_DISPATCH_BACKOFF_CAP)
    is_up = answer.status is not None and answer.status < 500
    return EndpointObservation(job.state_id, job.job_id, is_up, error, pause)


def _observe_reply(
    job: ClaimedJob, endpoint: Endpoint, reply: InquiryReply
) -> EndpointObservation | None:
    if job.state_id is None or reply.inquiry == Inquiry.SILENT:
        return None
    # Another host's answer doesn't show that the endpoint is up.
    if urlsplit(endpoint.inquiry_url or "").hostname != endpoint.host:
        return None
    return EndpointObservation(job.state_id, job.job_id, True, "")


def _policy(job: ClaimedJob) -> RetryPolicy:
    return retry_policy(job.cycle_id, job.endpoint_key, spent=job.spent, most=job.max_retries)


def retry_policy(cycle_id: UUID, endpoint_key: str, *, spent: int, most: int) -> RetryPolicy:
    """Return how a delivery is retried that has ``spent`` of at ``most`` so many retries."""
    return RetryPolicy(
        spent,
        most,
        settings.ORBIT_DISPATCH_BACKOFF_BASE,
        settings.ORBIT_DISPATCH_BACKOFF_CAP,
        # Deliveries of one cycle to one endpoint that fail together are retried together: in one
        # wave and one commit.
        group=f"{cycle_id} {endpoint_key}",
    )
