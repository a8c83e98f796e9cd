"""What an answer means: pure, from a status or an error to a verdict, and from a verdict to the job's next state."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from governance.kernel import backoff
from orbit.dispatch.inquiry import Found
from orbit.outbound.client import Answer
from orbit.states import Attempt, Job

FACTOR = 3.0
_SECONDS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it: a 2xx on the status line, whatever its body."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It is tried again, not before ``after`` seconds where the receiver said so."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """It is given up at once."""

    reason: str


Verdict = Delivered | Retry | Dead


@dataclass(frozen=True, slots=True)
class Move:
    """Where the job goes: its state, the retries that it used up, the wait in seconds, the reason of a death."""

    status: Job
    spent: int
    wait: float | None = None
    reason: str = ""


def classify(answer: Answer, *, permanent: Collection[int], now: datetime | None = None) -> Verdict:
    """Return what ``answer`` means. Everything that is no 2xx is retried, but what Orbit refused itself and the statuses in ``permanent``."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    if answer.error_class == "refused":
        return Dead("address_refused")
    if answer.status is not None and answer.status in permanent:
        return Dead(f"status_{answer.status}")
    return Retry(retry_after(answer.retry_after, now=now))


def attempt_status(answer: Answer) -> Attempt:
    """Return what the receipt says. Without an answer, and without proof that nothing left, the receiver may have it: unknown."""
    if answer.status is not None:
        return Attempt.DELIVERED if 200 <= answer.status < 300 else Attempt.FAILED
    return Attempt.FAILED if answer.sent is False else Attempt.UNKNOWN


def decide(
    verdict: Verdict,
    *,
    spent: int,
    max_retries: int,
    base: float,
    cap: float,
    group: str | None = None,
) -> Move:
    """Return the job's move. ``spent`` counts the attempts that used up a retry before this one; base and cap are seconds.

    Jobs that name the same ``group`` wait equally long.
    """
    if isinstance(verdict, Delivered):
        return Move(Job.DELIVERED, 0)
    if isinstance(verdict, Dead):
        return Move(Job.DEAD, 1, reason=verdict.reason)
    if spent >= max_retries:
        return Move(Job.DEAD, 1, reason="retries_exhausted")
    wait = backoff.delay(spent + 1, base=base, cap=cap, factor=FACTOR, group=group)
    if verdict.after is not None:
        wait = max(wait, min(verdict.after, cap))
    return Move(Job.PENDING, 1, wait=wait)


def decide_unknown(
    *,
    inquiry: bool,
    hold: bool,
    spent: int,
    max_retries: int,
    base: float,
    cap: float,
    group: str | None = None,
) -> Move:
    """Return the job's move after an attempt that may have arrived.

    Where the receiver can be asked (``inquiry``), it is, before the next attempt and before the job is given up. Else ``hold`` leaves the
    job to a person, and without it the job is sent again as after any failure.
    """
    if inquiry:
        return Move(
            Job.PENDING,
            1,
            wait=backoff.delay(spent + 1, base=base, cap=cap, factor=FACTOR, group=group),
        )
    if hold:
        return Move(Job.DEAD, 1, reason="outcome_unknown")
    return decide(Retry(), spent=spent, max_retries=max_retries, base=base, cap=cap, group=group)


def decide_inquiry(
    found: Found,
    *,
    hold: bool,
    spent: int,
    max_retries: int,
    base: float,
    cap: float,
    group: str | None = None,
) -> Move | None:
    """Return the job's move after the receiver was asked; None means: send it now.

    With ``hold`` a receiver that doesn't tell is asked again, each time for one of the retries, and then the job is left to a person.
    """
    if found == Found.HELD:
        return Move(Job.DELIVERED, 0)
    if found == Found.SILENT and hold:
        move = decide(
            Retry(), spent=spent, max_retries=max_retries, base=base, cap=cap, group=group
        )
        return move if move.status == Job.PENDING else Move(Job.DEAD, 1, reason="outcome_unknown")
    return Move(Job.DEAD, 0, reason="retries_exhausted") if spent > max_retries else None


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None for one that is absent, past or unreadable."""
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
