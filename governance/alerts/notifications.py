"""The outbox of messages about alerts: claimed, sent by an app above, and settled here.

A message is claimed in one commit and settled in another. A sender that dies in between may have
sent it: it is sent again under the same id, so a receiver that honours ``webhook-id`` acts once.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from governance.kernel import availability, pg_text, sql
from governance.models import Notification
from governance.states import NOTIFICATION
from governance.states import Notification as State

CLAIM = sql.load(__name__, "claim_notification")
IS_DUE = sql.load(__name__, "is_notification_due", is_read_only=availability.IS_READ_ONLY)
#: Longer than any request of a channel may take.
LEASE_SECONDS = 180.0
_LONGEST_ERROR = 2_000


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to send now; ``attempts`` counts this one."""

    id: UUID
    channel: str
    phase: str
    document: dict[str, Any]
    attempts: int


def claim(*, without: Collection[str] = ()) -> Claimed | None:
    """Take the message that is due longest, or None; ``without`` those of some channels.

    Raises ReadOnlyServer.
    """
    # A sender that is idle asks again and again: a look costs less than an update.
    ((is_read_only, is_due),) = IS_DUE.send()
    availability.require_writes(is_read_only)
    if not is_due:
        return None
    row = CLAIM.one(lease=LEASE_SECONDS, without=list(without))
    if row is None:
        return None
    id_, channel, phase, document, attempts = row
    return Claimed(id_, channel, phase, json.loads(document), attempts)


def delivered(message: Claimed) -> None:
    """Record that the receiver has it. A success counts however late it is."""
    rows = Notification.objects.filter(pk=message.id)
    NOTIFICATION.move(rows, State.DELIVERED, next_attempt_at=None, finished_at=Now(), last_error="")


def retry(message: Claimed, *, wait: float, error: str) -> None:
    """Have it sent again in ``wait`` seconds, unless another sender has it meanwhile."""
    due = Now() + timedelta(seconds=wait)
    _still_ours(message).update(next_attempt_at=due, last_error=_cut(error))


def give_up(message: Claimed, error: str) -> None:
    """Send it no more; the console shows it."""
    NOTIFICATION.move(
        _still_ours(message),
        State.FAILED,
        next_attempt_at=None,
        finished_at=Now(),
        last_error=_cut(error),
    )


def failed() -> "QuerySet[Notification]":
    """Return the messages about open alerts that could not be sent, the newest first."""
    return (
        Notification.objects.filter(status=State.FAILED, alert__resolved_at__isnull=True)
        .select_related("alert")
        .order_by("-id")
    )


def late() -> "QuerySet[Notification]":
    """Return the messages that wait after a failed attempt."""
    return (
        Notification.objects.filter(status=State.PENDING)
        .exclude(last_error="")
        .select_related("alert")
        .order_by("-id")
    )


def _still_ours(message: Claimed) -> "QuerySet[Notification]":
    # The number of the attempt is the fence: another claim has counted one more.
    return Notification.objects.filter(
        pk=message.id, status=State.PENDING, attempts=message.attempts
    )


def _cut(error: str) -> str:
    return pg_text.clean(error)[:_LONGEST_ERROR]
