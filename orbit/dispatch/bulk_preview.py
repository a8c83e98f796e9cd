"""What a bulk run would do: which letters it takes, from a list that is frozen here.

The page of the preview carries a digest of the ids. The run starts over exactly those letters, or
not at all.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from uuid import UUID

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import clock, sql
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import gate
from governance.operations.bulk import scope_of
from orbit.dispatch import bulk, endpoint_drift
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints, EndpointDrift
from orbit.dispatch.letter_choice import LetterChoice
from orbit.states import Letter

_FIND_MATCHING = sql.load(__name__, "find_matching_letters", letter_matches=bulk.LETTER_MATCHES)
_PREVIEW = sql.load(__name__, "preview_letters")
#: So many endpoints of a preview say what differs.
_MAX_COMPARED = 20


class SelectionChanged(OrbitError):
    """These letters changed since the preview."""

    code, kind = "selection_changed", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class EndpointPart:
    """The letters of one endpoint, and how it differs from the one they were made for."""

    key: str
    count: int
    drift: EndpointDrift
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """A frozen list of letters, and what a run would do with them."""

    ids: list[UUID]
    until: datetime
    #: More letters match than one run takes; these are the oldest.
    more: bool
    #: How many there are of each status.
    statuses: Counter[str]
    namespaces: dict[str, int]
    #: Why a namespace's letters wait, by its name.
    halts: dict[str, str]
    paused: str
    endpoints: list[EndpointPart]

    def __str__(self) -> str:
        return f"{self.open:,} dead letter{'s' if self.open != 1 else ''}"

    @cached_property
    def digest(self) -> str:
        """The fingerprint of the frozen list."""
        return hashlib.sha256(b"".join(letter_id.bytes for letter_id in self.ids)).hexdigest()[:32]

    @property
    def open(self) -> int:
        """How many letters the run would change."""
        return self.statuses[Letter.OPEN]

    @property
    def skipped(self) -> dict[str, int]:
        """How many it would skip, by the reason."""
        reasons = {
            bulk.RESOLVED[Letter(status)]: count
            for status, count in self.statuses.items()
            if status != Letter.OPEN
        }
        missing = len(self.ids) - self.statuses.total()
        return {**reasons, "there is no such dead letter": missing} if missing else reasons

    @property
    def namespace(self) -> str | None:
        """The namespace of all open letters, None if there are several."""
        return next(iter(self.namespaces)) if len(self.namespaces) == 1 else None

    @property
    def gone(self) -> int:
        """How many can't go to their endpoint as it is now."""
        return sum(part.count for part in self.endpoints if part.drift == EndpointDrift.GONE)

    @property
    def differs(self) -> bool:
        """Whether an endpoint isn't the one that the letters were made for."""
        return any(part.drift != EndpointDrift.SAME for part in self.endpoints)

    def ensure_unchanged(self, digest: str) -> None:
        """Raise SelectionChanged unless this is the list that the user saw."""
        if digest != self.digest:
            raise SelectionChanged(
                f"These letters changed since you looked: now there are {self.open:,}. "
                "Nothing was done. Check the numbers and press the button again."
            )


def read(choice: LetterChoice, *, actor: Actor) -> Preview:
    """Freeze the letters of ``choice``. Raises NotAllowed and NamespaceUnknown."""
    actor.require(Scope.OPERATE)
    scope = scope_of(actor, choice.filters.namespace)
    until = choice.until or clock.now()
    ids = list(choice.ids) or _matching(choice, scope, until)
    more = len(ids) > bulk.MAX_LETTERS
    ids = sorted(ids)[: bulk.MAX_LETTERS]
    rows = _PREVIEW.send(ids=ids, scope=scope) if ids else []
    statuses: Counter[str] = Counter()
    namespaces: Counter[str] = Counter()
    snapshots: Counter[tuple[str, str, UUID]] = Counter()
    for status, namespace, key, fingerprint, snapshot_id, count in rows:
        statuses[status] += count
        if status == Letter.OPEN:
            namespaces[namespace] += count
            snapshots[key, fingerprint, snapshot_id] += count
    paused = gate.everything_paused()
    refusals = {} if paused else gate.refusals(sorted(namespaces))
    return Preview(
        ids,
        until,
        more,
        statuses,
        dict(namespaces.most_common()),
        {name: refusal.detail for name, refusal in refusals.items()},
        paused.detail if paused else "",
        _parts(snapshots),
    )


def _matching(choice: LetterChoice, scope: Sequence[str] | None, until: datetime) -> list[UUID]:
    filters = replace(choice.filters, created_before=until)
    rows = _FIND_MATCHING.rows(
        scope=scope,
        groups=list(choice.groups) or None,
        limit=bulk.MAX_LETTERS + 1,
        **asdict(filters),
    )
    return [row[0] for row in rows]


def _parts(snapshots: Counter[tuple[str, str, UUID]]) -> list[EndpointPart]:
    configured = ConfiguredEndpoints()
    parts = []
    for place, ((key, fingerprint, snapshot_id), count) in enumerate(snapshots.most_common()):
        drift = configured.compare(key, fingerprint)
        is_compared = drift == EndpointDrift.CHANGED and place < _MAX_COMPARED
        differences = endpoint_drift.differences(key, snapshot_id) if is_compared else ()
        parts.append(EndpointPart(key, count, drift, differences))
    return parts
