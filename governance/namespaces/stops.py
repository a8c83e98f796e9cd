"""The history of halts, drains and pauses: one row each, open while it stands.

A row is begun, amended and ended in the transaction of the deed. The partial unique index keeps one open row for each namespace and kind.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import gate
from governance.states import Stopped

logger = logging.getLogger(__name__)

LONGEST_REASON = 2000
_LONGEST_NAME = 150
#: A stop that would stand for longer is one without an end.
FURTHEST = timedelta(days=3660)

BEGIN = """INSERT INTO governance_stop (namespace_id, kind, reason, started_by, since, until)
VALUES (%(namespace)s, %(kind)s, %(reason)s, %(by)s, clock_timestamp(), %(until)s)
ON CONFLICT (namespace_id, kind) WHERE ended_at IS NULL DO NOTHING RETURNING id"""
HELD = """SELECT id, reason, started_by, since, until, coalesce(until <= clock_timestamp(), false) FROM governance_stop
WHERE namespace_id IS NOT DISTINCT FROM %(namespace)s AND kind = %(kind)s AND ended_at IS NULL FOR NO KEY UPDATE"""
AMEND = """UPDATE governance_stop SET reason = %(reason)s, started_by = %(by)s, until = %(until)s
WHERE namespace_id IS NOT DISTINCT FROM %(namespace)s AND kind = %(kind)s AND ended_at IS NULL"""
# One whose time was over ended then, however late somebody noticed.
END = """UPDATE governance_stop SET ended_at = greatest(since, least(until, clock_timestamp())), ended_by = %(by)s, ended_reason = %(reason)s
WHERE namespace_id IS NOT DISTINCT FROM %(namespace)s AND kind = %(kind)s AND ended_at IS NULL"""
EXPIRED = """SELECT st.id, n.name FROM governance_stop st LEFT JOIN governance_namespace n ON n.id = st.namespace_id
WHERE st.ended_at IS NULL AND st.until <= clock_timestamp() ORDER BY st.until LIMIT %s"""


class ReasonInvalid(OrbitError):
    """This needs a reason in words, of at most 2000 characters."""

    code, kind = "invalid_reason", Kind.INVALID


class UntilInvalid(OrbitError):
    """The end of a stop is a time to come, with its zone, such as 2026-01-31T06:00:00Z, at most ten years ahead."""

    code, kind = "invalid_until", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Held:
    """An open row, locked. ``over`` tells that its time has passed: it holds nothing any more."""

    id: int
    reason: str
    by: str
    since: datetime
    until: datetime | None
    over: bool


def reason_of(text: str, *, needed: bool = True) -> str:
    """Return ``text`` as it may be kept. Raises ReasonInvalid where it is ``needed`` and says nothing, or where it is very long."""
    words = text.strip().replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if len(words) > LONGEST_REASON or (needed and not words):
        raise ReasonInvalid(errors=[{"pointer": "/reason", "detail": str(ReasonInvalid.__doc__)}])
    return words


def check_until(until: datetime | None) -> None:
    """Raise UntilInvalid unless ``until`` is None or a time to come."""
    if until is None:
        return
    now = timezone.now()
    if until.tzinfo is None or not now < until <= now + FURTHEST:
        raise UntilInvalid(errors=[{"pointer": "/until", "detail": str(UntilInvalid.__doc__)}])


def begin(
    kind: Stopped, namespace: int | None, *, by: str, reason: str, until: datetime | None
) -> bool:
    """Begin a stop of the namespace with this id, or of everything; return False where one stands."""
    return bool(_run(BEGIN, kind, namespace, by=by[:_LONGEST_NAME], reason=reason, until=until))


def held(kind: Stopped, namespace: int | None) -> Held | None:
    """Return the stop that stands, locked until the transaction ends, or None."""
    rows = _run(HELD, kind, namespace)
    return Held(*rows[0]) if rows else None


def amended(
    reason: str, until: datetime | None, *, by: str, now: "Held"
) -> tuple[str, str, datetime | None]:
    """Return reason, name and end of a stop that is asked for while one stands. It never ends sooner than what stands: that would be a resume."""
    later = None if until is None or now.until is None else max(until, now.until)
    return (
        (reason, by[:_LONGEST_NAME], later)
        if reason and reason != now.reason
        else (now.reason, now.by, later)
    )


def amend(
    kind: Stopped, namespace: int | None, *, by: str, reason: str, until: datetime | None
) -> None:
    """Give the stop that stands another reason or end."""
    _run(AMEND, kind, namespace, by=by, reason=reason, until=until)


def end(kind: Stopped, namespace: int | None, *, by: str, reason: str) -> None:
    """End the stop that stands; none is no error."""
    _run(END, kind, namespace, by=by[:_LONGEST_NAME], reason=reason)


def expired(limit: int) -> list[str | None]:
    """Return the namespaces of open stops whose time is over, None for the pause."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRED, [limit])
        return [name for _, name in cursor.fetchall()]


def ring() -> None:
    """Tell every process, after the commit, to look at the gate. Where that fails they look by themselves, within a quarter of a second."""

    def notify() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, '')", [gate.CHANNEL])
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                "The workers couldn't be told to look at the gate (%s); they look by themselves.",
                error,
            )

    transaction.on_commit(notify)


def plain(moment: datetime | None) -> str | None:
    """Return a time in the form that JSON holds."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _run(sql: str, kind: Stopped, namespace: int | None, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"kind": str(kind), "namespace": namespace, **values})
        return cursor.fetchall() if cursor.description else []
