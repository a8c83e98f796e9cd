"""How an attempt ended, and what becomes of its job: from an answer, from an inquiry, from a worker that was lost, from a wait too long."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from orbit.dispatch import outcome
from orbit.dispatch.circuit import Sign
from orbit.dispatch.claim import Sending
from orbit.dispatch.inquiry import Found, Reply
from orbit.dispatch.outcome import Move
from orbit.outbound.client import Answer
from orbit.records.execution import clean
from orbit.states import Attempt, Job

# What says nothing about the receiver: Orbit itself refused, or could not build the request.
_OWN_FAULTS = {"refused", "unexpected"}
# The answers by which a receiver asks everybody to wait, where they name a time (RFC 6585, section 4; RFC 9110, section 15.6.4).
_HOLDING = {429, 503}


@dataclass(frozen=True, slots=True)
class Closed:
    """An attempt that has ended, with what becomes of its job.

    ``confirms``: an earlier attempt turned out to have arrived. ``sign``: what it says about the receiver.
    """

    sending: Sending
    answer: Answer | None
    status: Attempt
    move: Move
    error: str
    confirms: bool = False
    sign: Sign | None = None

    @property
    def failed(self) -> bool:
        """Whether it was sent, or may have been, and brought no 2xx."""
        return self.sending.receipt_id is not None and self.status in {
            Attempt.FAILED,
            Attempt.UNKNOWN,
        }


def ended(sending: Sending, answer: Answer | None, reply: Reply | None = None) -> Closed:
    """Return what becomes of an attempt that came back with ``answer``, or before that with the ``reply`` to an inquiry.

    Without either it was stopped before a byte left, and spends nothing.
    """
    if sending.endpoint is None:
        move = Move(Job.DEAD, 0, reason="unreadable_snapshot")
        return Closed(
            sending,
            None,
            Attempt.UNSENT,
            move,
            "no key of ORBIT_ENCRYPTION_KEYS opens the endpoint's snapshot",
        )
    if answer is None:
        if reply is not None and (move_ := after_inquiry(sending, reply.found)) is not None:
            return Closed(
                sending,
                None,
                Attempt.UNSENT,
                move_,
                clean(reply.note),
                confirms=reply.found == Found.HELD,
                sign=_answered(sending, reply),
            )
        return Closed(
            sending,
            None,
            Attempt.UNSENT,
            Move(Job.PENDING, 0, wait=0.0),
            "stopped before it was sent",
        )
    verdict = outcome.classify(answer, permanent=sending.endpoint.permanent_statuses)
    error = (
        ""
        if isinstance(verdict, outcome.Delivered)
        else clean(answer.error or f"HTTP {answer.status}")
    )
    status = outcome.attempt_status(answer)
    move = (
        _unknown(sending)
        if status == Attempt.UNKNOWN
        else outcome.decide(verdict, **_retries(sending))
    )
    return Closed(sending, answer, status, move, error, sign=_sign(sending, answer, verdict, error))


def after_inquiry(sending: Sending, found: Found) -> Move | None:
    """Return what becomes of the job of ``sending`` after its receiver was asked; None: it is to be sent."""
    hold = sending.endpoint is not None and sending.endpoint.on_unknown == "hold"
    return outcome.decide_inquiry(found, hold=hold, **_retries(sending))


def lost(sending: Sending, *, cancelled: bool = False, requeued: bool = False) -> Closed:
    """Return the end of an attempt whose worker died: it may have arrived, so it is unknown.

    It spends a retry, and is made again under the same key. In a cycle that was cancelled it isn't made again: one that a person had
    ``requeued`` is a dead letter once more.
    """
    ended = Move(Job.DEAD, 1, reason="cancelled") if requeued else Move(Job.CANCELLED, 1)
    move = ended if cancelled else _unknown(sending)
    return Closed(sending, None, Attempt.UNKNOWN, move, "the worker that sent it was lost")


def expired(sending: Sending) -> Closed:
    """Return the end of a job that waited too long for a receiver that is down; there is no attempt."""
    return Closed(
        sending,
        None,
        Attempt.UNSENT,
        Move(Job.DEAD, 0, reason="endpoint_down"),
        "the endpoint has been down for more than 24 hours",
    )


def _unknown(sending: Sending) -> Move:
    endpoint = sending.endpoint
    inquiry, hold = (
        bool(endpoint and endpoint.inquiry_url),
        bool(endpoint and endpoint.on_unknown == "hold"),
    )
    return outcome.decide_unknown(inquiry=inquiry, hold=hold, **_retries(sending))


def _sign(sending: Sending, answer: Answer, verdict: outcome.Verdict, error: str) -> Sign | None:
    if sending.state_id is None or answer.error_class in _OWN_FAULTS:
        return None
    asked = (
        verdict.after if isinstance(verdict, outcome.Retry) and answer.status in _HOLDING else None
    )
    up = answer.status is not None and answer.status < 500
    return Sign(
        sending.state_id,
        sending.job_id,
        up,
        error,
        min(asked, settings.ORBIT_DISPATCH_BACKOFF_CAP) if asked is not None else None,
    )


def _answered(sending: Sending, reply: Reply) -> Sign | None:
    """Return the sign of an inquiry that the receiver's own host answered: it is up, though it was sent nothing."""
    if sending.state_id is None or sending.endpoint is None or reply.found == Found.SILENT:
        return None
    return (
        Sign(sending.state_id, sending.job_id, True, "")
        if urlsplit(sending.endpoint.inquiry_url or "").hostname == sending.endpoint.host
        else None
    )


def _retries(sending: Sending) -> dict[str, Any]:
    """Return what a decision needs. Deliveries of one cycle to one endpoint that fail together are tried again together: in one wave and commit."""
    return {
        "spent": sending.spent,
        "max_retries": sending.max_retries,
        "base": settings.ORBIT_DISPATCH_BACKOFF_BASE,
        "cap": settings.ORBIT_DISPATCH_BACKOFF_CAP,
        "group": f"{sending.cycle_id} {sending.endpoint_key}",
    }
