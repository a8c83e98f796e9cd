"""Decide a job's next state from an answer, by pure functions."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from governance.kernel import backoff, clock
from orbit.outbound.client import Response
from orbit.states import Attempt, Job

# The waits (base 2 s, cap 300 s, jitter 20 %), in seconds. By default there are 3 retries.
# retry    1           2           3            4          5            6 and later
# after    1.6 - 2.4   4.8 - 7.2   14.4 - 21.6  43 - 65    130 - 194    240 - 360
FACTOR = 3.0
_SECONDS = re.compile(r"[0-9]+")
# No wait is longer; a cap comes on top. More digits than these mean the same.
_MOST_SECONDS = 1e9
_LONGEST_DATE = 50


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has the delivery."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again: after ``after`` seconds or longer, but ``RetryPolicy.cap`` limits ``after``."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up at once."""

    reason: str


AnswerKind = Delivered | Retry | Dead


@dataclass(frozen=True, slots=True)
class JobTransition:
    """A job's next state."""

    status: Job
    #: The retries that this used up.
    spent: int
    #: Seconds before the next attempt.
    wait: float | None = None
    #: Why it is dead.
    reason: str = ""


DELIVERED = JobTransition(Job.DELIVERED, 0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a job is retried. Times are seconds."""

    #: The retries used before this attempt.
    spent: int
    max_retries: int
    base: float
    cap: float
    #: Jobs of the same group wait equally long.
    group: str | None = None

    def wait(self) -> float:
        """Return the seconds before the next retry."""
        return backoff.delay(
            self.spent + 1, base=self.base, cap=self.cap, factor=FACTOR, group=self.group
        )


class Inquiry(StrEnum):
    """Whether a receiver has a delivery; ``SILENT``: no usable answer."""

    HELD = "held"
    MISSING = "missing"
    SILENT = "silent"


# The attempt                              Its receipt   The job
# 2xx                                      delivered     delivered
# status in permanent_statuses (410)       failed        dead: status_410
# any other status                         failed        retried; Retry-After can extend the wait
# refused by Orbit's own address rules     failed        dead: address_refused
# proof that no byte left (DNS, connect)   failed        retried
# no answer (timeout, reset, lost worker)  unknown       retried after an inquiry if there is one;
#                                                        dead: outcome_unknown, if on hold
# retries used up                                        dead: retries_exhausted
def classify(
    answer: Response, *, permanent: Collection[int], now: datetime | None = None
) -> AnswerKind:
    """Return what ``answer`` means. ``permanent`` statuses are not retried."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    if answer.error_class == "refused":
        return Dead("address_refused")
    if answer.status is not None and answer.status in permanent:
        return Dead(f"status_{answer.status}")
    return Retry(retry_after(answer.retry_after, now=now))


def attempt_status(answer: Response) -> Attempt:
    """Return the status of the receipt."""
    if answer.status is not None:
        return Attempt.DELIVERED if 200 <= answer.status < 300 else Attempt.FAILED
    # Only proof that nothing left makes it failed: any byte may have been acted on.
    return Attempt.FAILED if answer.was_sent is False else Attempt.UNKNOWN


def decide(kind: AnswerKind, policy: RetryPolicy) -> JobTransition:
    """Return the job's next state after an answer of this kind."""
    if isinstance(kind, Delivered):
        return DELIVERED
    if isinstance(kind, Dead):
        return JobTransition(Job.DEAD, 1, reason=kind.reason)
    if policy.spent >= policy.max_retries:
        return JobTransition(Job.DEAD, 1, reason="retries_exhausted")
    wait = policy.wait()
    if kind.after is not None:
        wait = max(wait, min(kind.after, policy.cap))
    return JobTransition(Job.PENDING, 1, wait=wait)


def decide_unknown(policy: RetryPolicy, *, inquiry: bool, hold: bool) -> JobTransition:
    """Return the job's next state after an attempt that may have arrived."""
    if inquiry:
        # Even with no retries left: ask once more before the job is given up.
        return JobTransition(Job.PENDING, 1, wait=policy.wait())
    if hold:
        # An operator decides; sending it again could make the receiver act twice.
        return JobTransition(Job.DEAD, 1, reason="outcome_unknown")
    return decide(Retry(), policy)


def decide_inquiry(inquiry: Inquiry, policy: RetryPolicy, *, hold: bool) -> JobTransition | None:
    """Return the job's next state after an inquiry. None: send it now."""
    if inquiry == Inquiry.HELD:
        return DELIVERED
    if inquiry == Inquiry.SILENT and hold:
        # Each silent inquiry uses up a retry; then an operator decides.
        transition = decide(Retry(), policy)
        if transition.status == Job.PENDING:
            return transition
        return JobTransition(Job.DEAD, 1, reason="outcome_unknown")
    if policy.spent > policy.max_retries:
        return JobTransition(Job.DEAD, 0, reason="retries_exhausted")
    return None


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, section 10.2.3), or None."""
    if value is None or not value.isascii():
        return None
    text = value.strip(" \t")
    # Several headers arrive as one, with commas: the longest wait suits all of them.
    numbers = [number.strip(" \t") for number in text.split(",")]
    if all(_SECONDS.fullmatch(number) for number in numbers):
        # Not int(): that raises ValueError for 4,301 digits.
        return min(max(float(number) for number in numbers), _MOST_SECONDS)
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" parses without a zone, but means UTC (RFC 5322, section 3.3).
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - (now or clock.now())).total_seconds()
    return min(seconds, _MOST_SECONDS) if seconds > 0 else None
