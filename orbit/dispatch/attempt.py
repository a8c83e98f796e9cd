"""One delivery attempt: prepare, send, classify, resolve.

The way of a retry:

1. ``first_wave`` inserts the job as ``sending``, or ``claim`` moves it there; with its receipt, in
   one commit.
2. ``in_flight`` sends the request and takes its answer; ``resolve`` and ``outcome`` decide what
   becomes of the job.
3. ``receipts`` writes that: the job is ``pending`` again and due at ``next_attempt_at``.
4. ``loop`` sleeps through a short wait, or returns it. ``cycles.advance`` then gives the cycle back
   with that time in ``next_due_at``; a worker claims it, and ``loop`` claims the job again.

If the process dies after 1, the receipt still says ``sending``. The next worker closes it as
unknown (``abandon``) and sends again under the same key, so a receiver that ignores Idempotency-Key
may act twice.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from orbit.dispatch import outcome
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.endpoints import Delivery, Endpoint, build_request
from orbit.dispatch.limits import EndpointObservation
from orbit.dispatch.outcome import AnswerKind, Inquiry, JobTransition, RetryPolicy
from orbit.outbound import client
from orbit.outbound.client import Response
from orbit.records.execution import clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Attempt, Job
from orbit.tracing import report, spans

# Errors that say nothing about the endpoint: Orbit refused, or could not build the request.
_OWN_FAULTS = {"refused", "unexpected"}
# With a Retry-After these ask all clients to wait (RFC 6585, section 4; RFC 9110, section 15.6.4).
_ASKS_TO_WAIT = {429, 503}


@dataclass(frozen=True, slots=True)
class InquiryReply:
    """The result of an inquiry, and a note for operators."""

    inquiry: Inquiry
    note: str


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
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


# --- Prepare ------------------------------------------------------------------------------


def needs_inquiry(job: ClaimedJob) -> bool:
    """Return whether to ask the receiver before sending again."""
    return (
        job.may_have_arrived and job.endpoint is not None and job.endpoint.inquiry_url is not None
    )


def request_of(cycle: ClaimedCycle, job: ClaimedJob, endpoint: Endpoint) -> client.Request:
    """Return the request of this attempt. Raises ValueError for an unusable secret."""
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
    return build_request(endpoint, delivery, job.body)


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
    error = ""
    if isinstance(kind, outcome.Delivered):
        transition = outcome.DELIVERED  # without a policy
    elif status == Attempt.UNKNOWN:
        transition, error = _decide_unknown(job), clean(_why(answer))
    else:
        transition, error = outcome.decide(kind, _policy(job)), clean(_why(answer))
    observation = _observe(job, answer, kind, error)
    return AttemptResult(job, answer, status, transition, error, observation=observation)


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
