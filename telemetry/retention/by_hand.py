"""Verify archives for a user who waits for the answer."""

import time
from collections.abc import Iterable

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from telemetry.models import TelemetryArchive
from telemetry.retention import reading

#: A web server's thread does no more.
SECONDS = 5.0


class ArchiveTooLarge(OrbitError):
    """An archive takes longer to read than a page may take."""

    code, kind = "archive_too_large", Kind.CONFLICT


class ArchiveUnfinished(OrbitError):
    """This archive is still being written."""

    code, kind = "archive_unfinished", Kind.CONFLICT


def verify(archives: Iterable[TelemetryArchive], *, actor: Actor, reason: str) -> str:
    """Read ``archives`` back, for at most ``SECONDS``; return what to say.

    Raises ArchiveDamaged, ArchiveTooLarge and ArchiveUnfinished.
    """
    actor.require(Scope.OPERATE)
    deadline = time.monotonic() + SECONDS
    events = number = 0
    for archive in archives:
        if archive.verified_at is None:
            raise ArchiveUnfinished(
                f"The archive {archive} is still being written. Verify it once it is finished."
            )
        verdict = reading.verify(archive, lambda archive=archive: _check(archive, deadline))  # type: ignore[misc]
        _record(verdict, actor, reason)
        if verdict.problem:
            raise reading.ArchiveDamaged(
                f"{verdict.problem} Take it from a backup: see docs/operations.md."
            )
        number, events = number + 1, events + archive.event_count
    return f"{number} archive{'' if number == 1 else 's'} verified, {events:,} events."


def _check(archive: TelemetryArchive, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ArchiveTooLarge(
            f"Reading stopped after {SECONDS:g} s, at the archive {archive}: its verdict is open. "
            f"Run manage.py telemetry archive verify {archive.day}."
        )


def _record(verdict: reading.Verdict, actor: Actor, reason: str) -> None:
    archive = verdict.archive
    with audit.transaction():
        audit.record(
            Action.ARCHIVE_VERIFIED,
            actor=actor.name,
            object_id=str(archive.pk),
            namespace=archive.namespace,
            after={
                "day": str(archive.day),
                "event_count": archive.event_count,
                "problem": verdict.problem or None,
            },
            reason=reason,
        )
