"""Send the messages about alerts: to endpoints marked ``alerts``, and by e-mail.

A delivery belongs to a cycle, and an alert has none. So its messages have an outbox of their own,
but leave by the same code: the endpoint's guards, checked addresses, signature and retry law.

One thread sends them. A channel that fails or is slow has one turn in a round, so the messages of
another one wait for at most one attempt by each of the others: ``LONGEST_SECONDS`` per endpoint.
"""

import json
import logging
import smtplib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from governance.alerts import notifications
from governance.alerts.notifications import Claimed
from governance.kernel.canonical import canonical_json
from governance.states import Phase
from orbit.dispatch import endpoints, outcome
from orbit.dispatch.outcome import RetryPolicy
from orbit.outbound import client
from orbit.states import Job

log = logging.getLogger(__name__)

EMAIL, ENDPOINT = "email", "endpoint:"
#: With ORBIT_DISPATCH_BACKOFF_BASE of 2 s and a cap of 300 s, these last about an hour.
MAX_RETRIES = 15
#: The deadline of an attempt at an endpoint; of each step with the mail server.
LONGEST_SECONDS = 10.0
MAIL_SECONDS = 10
#: A channel that takes longer is slow.
SLOW_SECONDS = 1.0
#: A round sends no more; the next one goes on.
MOST = 100


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a message was not delivered; ``wait`` None gives it up."""

    error: str
    wait: float | None


def channels() -> list[str]:
    """Return by what messages are sent: endpoints marked ``alerts``, and e-mail."""
    marked = [f"{ENDPOINT}{key}" for key, item in endpoints.configured().items() if item.alerts]
    return [*marked, EMAIL] if settings.ORBIT_ALERT_EMAILS else marked


def send_due(
    *,
    most: int = MOST,
    is_ending: Callable[[], bool] = lambda: False,
    between: Callable[[], object] = lambda: None,
) -> int:
    """Send the messages that are due, ``between`` before each; return how many were tried."""
    turns: list[str] = []
    for count in range(most):
        between()
        message = None if is_ending() else notifications.claim(without=turns)
        if message is None:
            return count
        began = time.monotonic()
        failure = _send(message)
        if failure is not None or time.monotonic() - began > SLOW_SECONDS:
            turns.append(message.channel)
        _settle(message, failure)
    return most


def _settle(message: Claimed, failure: _Failure | None) -> None:
    if failure is None:
        notifications.delivered(message)
    elif failure.wait is None:
        log.warning("An alert could not be sent by %s: %s", message.channel, failure.error)
        notifications.give_up(message, failure.error)
    else:
        notifications.retry(message, wait=failure.wait, error=failure.error)


def _send(message: Claimed) -> _Failure | None:
    if message.attempts > MAX_RETRIES + 1:
        return _Failure("its sender died in each attempt", None)
    if message.channel == EMAIL:
        return _mail(message)
    endpoint = endpoints.configured().get(message.channel.removeprefix(ENDPOINT))
    if endpoint is None or not endpoint.alerts:
        return _Failure("this endpoint is not configured, or not marked `alerts` any more", None)
    delivery = endpoints.Delivery(
        delivery_id=str(message.id),
        content_type="application/json",
        attempt=message.attempts,
        namespace=message.document.get("namespace") or "",
    )
    request = endpoints.build_request(endpoint, delivery, canonical_json(message.document))
    request = replace(request, total_timeout=min(request.total_timeout, LONGEST_SECONDS))
    answer = client.send(request, allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    kind = outcome.classify(answer, permanent=endpoint.permanent_statuses)
    transition = outcome.decide(kind, _policy(message))
    if transition.status == Job.DELIVERED:
        return None
    error = answer.error or answer.refusal
    return _Failure(error, transition.wait if transition.status == Job.PENDING else None)


def _mail(message: Claimed) -> _Failure | None:
    if not settings.ORBIT_ALERT_EMAILS:
        return _Failure("ORBIT_ALERT_EMAILS is empty now", None)
    about = message.document
    state = "Resolved" if message.phase == Phase.CLOSED else "Alert"
    mail = EmailMessage(
        subject=" ".join(f"[Orbit] {state}: {about['label']}: {about['object']}".split())[:200],
        body=_body(message),
        to=settings.ORBIT_ALERT_EMAILS,
        # The same on each attempt, so that a mail program can drop a second copy.
        headers={"Message-ID": f"<{message.id}@orbit.invalid>"},
        connection=get_connection(timeout=MAIL_SECONDS),
    )
    try:
        mail.send()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        transition = outcome.decide(outcome.Retry(), _policy(message))
        waits = transition.status == Job.PENDING
        return _Failure(f"{type(error).__name__}: {error}", transition.wait if waits else None)
    return None


def _body(message: Claimed) -> str:
    about = message.document
    lines = [
        about["summary"],
        "",
        f"What to do: {about['what_to_do']}",
        f"Namespace: {about['namespace'] or 'the whole workspace'}",
        f"Since: {about['first_seen']}",
    ]
    if about["resolved_at"]:
        lines.append(f"Resolved: {about['resolved_at']}")
    lines.append(f"Console: {about['link'] or '/admin/alerts/'}")
    return "\n".join(lines) + "\n\n" + json.dumps(about, indent=2, ensure_ascii=False) + "\n"


def _policy(message: Claimed) -> RetryPolicy:
    return RetryPolicy(
        message.attempts - 1,
        MAX_RETRIES,
        settings.ORBIT_DISPATCH_BACKOFF_BASE,
        settings.ORBIT_DISPATCH_BACKOFF_CAP,
    )
