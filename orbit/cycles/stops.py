"""What a stop leaves running, and what its end starts again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from governance.access import users
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import sql
from governance.namespaces import status
from governance.namespaces.status import NamespaceStatus

#: Counts go no further.
MOST = 10_001

NAMESPACE_CARDS = sql.load(__name__, "namespace_cards")
STOP_PROGRESS = sql.load(__name__, "stop_progress")
RESUME_PREVIEW = sql.load(__name__, "resume_preview")


@dataclass(frozen=True, slots=True)
class NamespaceActivity:
    """What runs in a namespace, and how its last cycle ended."""

    namespace: str
    active_id: UUID | None
    active_status: str | None
    last_id: UUID | None
    last_status: str | None
    last_finished_at: datetime | None
    queued: int
    run_profiles: int


@dataclass(frozen=True, slots=True)
class StopProgress:
    """When the last delivery started, and how many are in flight."""

    last_started_at: datetime | None
    in_flight: int


@dataclass(frozen=True, slots=True)
class ResumePreview:
    """What goes on at the end of a stop; ``ticks``: due meanwhile, and not made up for."""

    active: int
    queued: int
    deliveries: int
    ticks: int


@dataclass(frozen=True, slots=True)
class NamespaceCard:
    """A namespace on a page: its status, what runs there, and its confined users."""

    row: Any
    status: NamespaceStatus
    activity: NamespaceActivity
    users: list[str]


def cards(rows: Iterable[Any], *, actor: Actor) -> list[NamespaceCard]:
    """Return the card of each row of ``status.rows``; only an administrator sees the users."""
    rows = list(rows)
    names = [row.name for row in rows]
    running = activity(names)
    access = users.with_access(names) if actor.may(Scope.ADMINISTER) else {}
    return [
        NamespaceCard(row, status.of(row), running[row.name], access.get(row.name, []))
        for row in rows
    ]


def activity(namespaces: Iterable[str]) -> dict[str, NamespaceActivity]:
    """Return what runs in each of ``namespaces``."""
    rows = NAMESPACE_CARDS.rows(names=list(namespaces), most=MOST)
    return {row[0]: NamespaceActivity(*row) for row in rows}


def progress(namespace: str | None) -> StopProgress:
    """Return how far a halt of ``namespace``, or the pause (None), is."""
    ((last_started_at, in_flight),) = STOP_PROGRESS.rows(namespace=namespace)
    return StopProgress(last_started_at, in_flight)


def resume_preview(namespace: str | None, since: datetime | None) -> ResumePreview:
    """Return what the end of the stop since ``since`` starts."""
    ((active, queued, deliveries, ticks),) = RESUME_PREVIEW.rows(
        namespace=namespace, since=since, most=MOST
    )
    return ResumePreview(active, queued, deliveries, ticks)
