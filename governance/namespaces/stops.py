"""The history of halts, drains and pauses; at most one of each kind is open in a namespace."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from governance.kernel import clock, pg_text, reasons, sql
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.reasons import ReasonInvalid
from governance.models import Stop
from governance.namespaces import gate
from governance.states import Stopped

logger = logging.getLogger(__name__)

BEGIN_STOP = sql.load(__name__, "begin_stop")
LOCK_OPEN_STOP = sql.load(__name__, "lock_open_stop")
AMEND_STOP = sql.load(__name__, "amend_stop")
END_STOP = sql.load(__name__, "end_stop")

_LONGEST_NAME = 150
#: A longer stop has no ``until``.
FURTHEST = timedelta(days=3660)
#: The reason of an end by ``until``.
EXPIRED = "its time was over"


class UntilInvalid(OrbitError):
    """Use a future time with its zone, such as 2026-01-31T06:00:00Z, at most ten years ahead."""

    code, kind = "invalid_until", Kind.INVALID


@dataclass(frozen=True, slots=True)
class OpenStop:
    """A locked open row. ``expired``: its time has passed, so it stops nothing."""

    id: int
    reason: str
    by: str
    since: datetime
    until: datetime | None
    expired: bool


def clean_reason(text: str, *, required: bool = True) -> str:
    """Return ``text`` as it is stored. Raises ReasonInvalid."""
    reason = pg_text.clean(text.strip())
    if len(reason) > reasons.MAX_LENGTH or (required and not reason):
        raise ReasonInvalid(errors=[{"pointer": "/reason", "detail": str(ReasonInvalid.__doc__)}])
    return reason


def check_until(until: datetime | None) -> None:
    """Raise UntilInvalid unless ``until`` is None or a valid future time."""
    if until is None:
        return
    now = clock.read()
    if until.tzinfo is None or not now < until <= now + FURTHEST:
        raise UntilInvalid(errors=[{"pointer": "/until", "detail": str(UntilInvalid.__doc__)}])


def begin(
    kind: Stopped, namespace: int | None, *, by: str, reason: str, until: datetime | None
) -> bool:
    """Begin a stop (namespace None: of the workspace). Return False if one is open."""
    rows = BEGIN_STOP.rows(
        namespace=namespace, kind=str(kind), reason=reason, by=by[:_LONGEST_NAME], until=until
    )
    return bool(rows)


def lock_open(kind: Stopped, namespace: int | None) -> OpenStop | None:
    """Return the open stop, locked, or None."""
    row = LOCK_OPEN_STOP.one(namespace=namespace, kind=str(kind))
    return OpenStop(*row) if row else None


def extended(
    stop: OpenStop, *, reason: str, by: str, until: datetime | None
) -> tuple[str, str, datetime | None]:
    """Return reason, author and end of ``stop`` after a second stop."""
    # It never ends sooner than before: that would be a resume.
    later = None if until is None or stop.until is None else max(until, stop.until)
    if reason and reason != stop.reason:
        return reason, by[:_LONGEST_NAME], later
    return stop.reason, stop.by, later


def amend(
    kind: Stopped, namespace: int | None, *, by: str, reason: str, until: datetime | None
) -> None:
    """Change the open stop."""
    AMEND_STOP.execute(namespace=namespace, kind=str(kind), reason=reason, by=by, until=until)


def end(kind: Stopped, namespace: int | None, *, by: str, reason: str) -> None:
    """End the open stop, if any."""
    END_STOP.execute(namespace=namespace, kind=str(kind), by=by[:_LONGEST_NAME], reason=reason)


def expired() -> "QuerySet[Stop]":
    """Return open stops whose time has passed, the oldest end first."""
    return Stop.objects.filter(ended_at__isnull=True, until__lte=Now()).order_by("until")


def notify() -> None:
    """Notify every process, after the commit, of a change of the gate."""

    def send() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [gate.CHANNEL])
        # Harmless if lost: processes read the gate four times a second.
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                "Can't notify the workers of a change of the gate (%s); they see it by themselves.",
                error,
            )

    transaction.on_commit(send)


def to_iso(moment: datetime | None) -> str | None:
    """Return a time for JSON."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_dict(stop: Stop) -> dict[str, Any]:
    """Return what commands show of ``stop``."""
    return {
        "kind": stop.kind,
        "reason": stop.reason or reasons.NO_REASON,
        "by": stop.started_by,
        "since": stop.since,
        "until": stop.until,
        "quiet_at": stop.quiet_at,
        "ended_at": stop.ended_at,
        "ended_by": stop.ended_by,
        "ended_reason": stop.ended_reason,
        "certificate": stop.certificate,
    }
