"""Decide what becomes of a delivery: pure functions from an answer to the job's next state.

========================================  ============  ===========================================
the attempt                               its receipt   the job
========================================  ============  ===========================================
2xx                                       delivered     delivered
status in ``permanent_statuses`` (410)    failed        dead: ``status_410``
any other status                          failed        retried; a Retry-After can extend the wait
refused by Orbit's own address rules      failed        dead: ``address_refused``
proof that no byte left (DNS, connect)    failed        retried
no answer (timeout, reset, worker died)   unknown       retried, after an inquiry if there is one;
                                                        dead (``outcome_unknown``) with ``hold``
retries used up                                         dead: ``retries_exhausted``
========================================  ============  ===========================================

The waits by default (base 2 s, factor 3, cap 300 s, jitter 20 %), in seconds:

=======  =====  =====  ======  =====  =======  =============
retry    1      2      3       4      5        6 and later
=======  =====  =====  ======  =====  =======  =============
after    1.6 .. 4.8 .. 14.4 .. 43 ..  130 ..   240 ..
         2.4    7.2    21.6    65     194      360
=======  =====  =====  ======  =====  =======  =============
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from governance.kernel import backoff
from orbit.outbound.client import Response
from orbit.states import Attempt, Job

FACTOR = 3.0
_SECONDS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has the delivery: a 2xx, whatever its body."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before ``after`` seconds if the receiver named a time."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up at once."""

    reason: str


AnswerKind = Delivered | Retry | Dead


@dataclass(frozen=True, slots=True)
class JobTransition:
    """Where a job goes: its state, the retries this used up, the wait (seconds), why it is dead."""

    status: Job
    spent: int
    wait: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a job is retried. ``spent`` counts the retries used before this attempt.

    ``base`` and ``cap`` are seconds. Jobs that name the same ``group`` wait equally long.
    """

    spent: int
    max_retries: int
    base: float
    cap: float
    group: str | None = None

    def wait(self) -> float:
        """Return the seconds before the next retry."""
        return backoff.delay(
            self.spent + 1, base=self.base, cap=self.cap, factor=FACTOR, group=self.group
        )


class Inquiry(StrEnum):
    """What a receiver said when asked for a delivery: has it, doesn't have it, no usable answer."""

    HELD = "held"
    MISSING = "missing"
    SILENT = "silent"


def classify(
    answer: Response, *, permanent: Collection[int], now: datetime | None = None
) -> AnswerKind:
    """Return what ``answer`` means for the job. ``permanent`` are statuses that are not retried."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    if answer.error_class == "refused":
        return Dead("address_refused")
    if answer.status is not None and answer.status in permanent:
        return Dead(f"status_{answer.status}")
    return Retry(retry_after(answer.retry_after, now=now))


def attempt_status(answer: Response) -> Attempt:
    """Return the status of the receipt. Without an answer or proof that nothing left: unknown."""
    if answer.status is not None:
        return Attempt.DELIVERED if 200 <= answer.status < 300 else Attempt.FAILED
    return Attempt.FAILED if answer.sent is False else Attempt.UNKNOWN


def decide(kind: AnswerKind, policy: RetryPolicy) -> JobTransition:
    """Return what becomes of a job after an answer of this kind."""
    if isinstance(kind, Delivered):
        return JobTransition(Job.DELIVERED, 0)
    if isinstance(kind, Dead):
        return JobTransition(Job.DEAD, 1, reason=kind.reason)
    if policy.spent >= policy.max_retries:
        return JobTransition(Job.DEAD, 1, reason="retries_exhausted")
    wait = policy.wait()
    if kind.after is not None:
        wait = max(wait, min(kind.after, policy.cap))
    return JobTransition(Job.PENDING, 1, wait=wait)


def decide_unknown(policy: RetryPolicy, *, inquiry: bool, hold: bool) -> JobTransition:
    """Return what becomes of a job after an attempt that may have arrived.

    ``inquiry``: the receiver can be asked. It is asked before the next attempt, and also before the
    job is given up. ``hold``: leave the job to an operator instead of sending it twice.
    """
    if inquiry:
        return JobTransition(Job.PENDING, 1, wait=policy.wait())
    if hold:
        return JobTransition(Job.DEAD, 1, reason="outcome_unknown")
    return decide(Retry(), policy)


def decide_inquiry(inquiry: Inquiry, policy: RetryPolicy, *, hold: bool) -> JobTransition | None:
    """Return what becomes of a job after its receiver was asked. None: send it now.

    With ``hold``, each inquiry without an answer uses up a retry; then the job is left to an
    operator.
    """
    if inquiry == Inquiry.HELD:
        return JobTransition(Job.DELIVERED, 0)
    if inquiry == Inquiry.SILENT and hold:
        transition = decide(Retry(), policy)
        if transition.status == Job.PENDING:
            return transition
        return JobTransition(Job.DEAD, 1, reason="outcome_unknown")
    if policy.spent > policy.max_retries:
        return JobTransition(Job.DEAD, 0, reason="retries_exhausted")
    return None


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3).

    None if it is absent, in the past or unreadable.
    """
    if value is None or not value.isascii():
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None
