"""Dead letters by cause: groups of the same endpoint, reason, status code and error."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from http.client import responses
from typing import Any, Self
from uuid import UUID

from django.utils.safestring import SafeString

from governance.access.actors import Actor
from governance.kernel import sql
from governance.plots import charts
from orbit import seen
from orbit.dispatch import endpoints, letter_choice
from orbit.models import DeadLetterDispatch
from orbit.seen import Seen
from orbit.states import Letter, SeenKind

#: A group grows if letters joined it lately, after its first ones. For statements that have the
#: times of its first and its last letter.
GROWING = """(
    last_at > now() - interval '10 minutes' AND last_at > first_at + interval '1 minute'
)"""
GROUP_ERRORS = sql.load(__name__, "group_errors", growing=GROWING)

#: Groups count at most this many of the newest letters: of open ones, which an index holds, and of
#: others, which are read from the table.
MAX_COUNTED, MAX_RESOLVED = 100_000, 20_000
MAX_GROUPS = 200
#: How many hours a group's trend has.
HOURS = 16


class GroupState(StrEnum):
    """What a group of dead letters needs."""

    GROWING = "growing"
    SEEN = "seen"
    CAME_BACK = "came_back"
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Letters with the same endpoint, reason, status code and pattern."""

    group: str
    endpoint_key: str
    reason: str
    status_code: int | None
    error: str
    count: int
    names: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    example_id: UUID
    #: Letters in each of the last ``HOURS`` hours, the oldest first.
    trend: tuple[int, ...]
    requeued_at: datetime | None
    is_growing: bool

    def __str__(self) -> str:
        return f"{self.endpoint_key}: {self.label}"

    @property
    def namespaces(self) -> int:
        """How many namespaces have such letters."""
        return len(self.names)

    @property
    def came_back(self) -> bool:
        """Whether letters came after the last requeue."""
        return self.requeued_at is not None and self.last_at > self.requeued_at

    @property
    def label(self) -> str:
        """The error in words; the reason if there is no error."""
        if self.status_code and self.error in ("", f"HTTP {self.status_code}"):
            phrase = responses.get(self.status_code, "")
            return f"HTTP {self.status_code} {phrase}".rstrip()
        return self.error or self.reason.replace("_", " ")

    def state(self, mark: Seen | None, *, is_open: bool) -> GroupState:
        """Return what the group needs. ``mark``: who looks after it."""
        if not is_open:
            return GroupState.RESOLVED
        # A mark is about the letters that were there: a newer one ends it.
        if mark is not None and mark.at >= self.last_at:
            return GroupState.SEEN
        if self.came_back:
            return GroupState.CAME_BACK
        return GroupState.GROWING if self.is_growing else GroupState.OPEN


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which letters to group. ``status`` None: all."""

    status: str | None = Letter.OPEN
    namespace: str | None = None
    endpoint_key: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return what the address of the groups' page says."""
        status = query.get("status") or Letter.OPEN
        return cls(
            None if status == letter_choice.ALL else status,
            query.get("namespace") or None,
            query.get("endpoint_key__exact") or None,
        )


OPEN = GroupFilter()


@dataclass(frozen=True, slots=True)
class ErrorGroups:
    """The largest groups, and how many letters and groups there are."""

    groups: list[ErrorGroup]
    letters: int
    total: int
    #: Only the newest were counted.
    is_cut: bool
    #: Who looks after which group.
    seen: Mapping[str, Seen]
    is_open: bool
    #: What the list can be narrowed to: keys that the actor may know of.
    endpoints: list[str]

    def __str__(self) -> str:
        if not self.letters:
            return "No dead letters"
        plus = "+" if self.is_cut else ""
        letters = "dead letter" if self.letters == 1 else "dead letters"
        groups = "group" if self.total == 1 else "groups"
        return f"{self.letters:,}{plus} {letters} in {self.total:,} {groups}"

    def rows(self) -> list[tuple[ErrorGroup, GroupState, str, SafeString]]:
        """Return each group with its state, who looks after it, and a plot of its trend."""
        marks = [(group, self.seen.get(group.group)) for group in self.groups]
        return [
            (
                group,
                group.state(mark, is_open=self.is_open),
                mark.by if mark else "",
                charts.spark(group.trend, title=f"Letters in the last {HOURS} hours"),
            )
            for group, mark in marks
        ]


def largest(
    actor: Actor, filters: GroupFilter = OPEN, *, limit: int = 50, offset: int = 0
) -> list[ErrorGroup]:
    """Return the groups that ``actor`` sees, the largest first."""
    return [_group(row) for row in _rows(actor, filters, limit=limit, offset=offset)]


def read(actor: Actor, filters: GroupFilter = OPEN) -> ErrorGroups:
    """Return the page of groups that ``actor`` sees, the largest first."""
    rows = _rows(actor, filters, limit=MAX_GROUPS, offset=0)
    groups = [_group(row) for row in rows]
    letters, total = rows[0][-2:] if rows else (0, 0)
    # Endpoints belong to the whole workspace: others know those of their letters.
    configured = endpoints.configured() if actor.namespaces is None else ()
    keys = {*configured, *(group.endpoint_key for group in groups), filters.endpoint_key or ""}
    return ErrorGroups(
        groups,
        letters,
        total,
        is_cut=letters >= _counted(filters),
        seen=seen.of(
            SeenKind.GROUP, [group.group for group in groups], namespaces=actor.namespaces
        ),
        is_open=filters.status == Letter.OPEN,
        endpoints=sorted(keys - {""}),
    )


def mark_seen(
    names: Collection[str], filters: GroupFilter = OPEN, *, actor: Actor
) -> list[ErrorGroup]:
    """Say that ``actor`` looks after those open groups of its page; return them."""
    listed = largest(actor, replace(filters, status=Letter.OPEN), limit=MAX_GROUPS)
    groups = [group for group in listed if group.group in names]
    namespaces = {name for group in groups for name in group.names}
    seen.mark(
        SeenKind.GROUP,
        [group.group for group in groups],
        actor,
        namespace=namespaces.pop() if len(namespaces) == 1 else None,
    )
    return groups


def find(name: str, *, actor: Actor) -> DeadLetterDispatch | None:
    """Return a letter of the group that ``actor`` sees."""
    return DeadLetterDispatch.objects.filter(actor.filter(), error_group=name).first()


def _counted(filters: GroupFilter) -> int:
    return MAX_COUNTED if filters.status == Letter.OPEN else MAX_RESOLVED


def _rows(actor: Actor, filters: GroupFilter, *, limit: int, offset: int) -> list[tuple[Any, ...]]:
    # The database stores each letter's group when it writes the letter, so one query is enough.
    return GROUP_ERRORS.rows(
        scope=None if actor.namespaces is None else sorted(actor.namespaces),
        status=filters.status,
        namespace=filters.namespace,
        endpoint_key=filters.endpoint_key,
        counted=_counted(filters),
        hours=HOURS,
        limit=min(limit, MAX_GROUPS),
        offset=offset,
    )


def _group(row: tuple[Any, ...]) -> ErrorGroup:
    *members, hours, requeued_at, is_growing, _, _ = row
    by_hour = dict(hours or ())
    trend = tuple(by_hour.get(ago, 0) for ago in reversed(range(HOURS)))
    names = tuple(sorted(members[6]))
    return ErrorGroup(*[*members[:6], names, *members[7:], trend, requeued_at, is_growing])
