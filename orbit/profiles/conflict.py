"""Two users edited the same revision: what each changed, and both changes in one document."""

from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel import json_merge
from governance.kernel.json_merge import Place
from orbit.profiles import history
from orbit.profiles.kinds import AnyKind, AnyRevision


@dataclass(frozen=True, slots=True)
class Conflict:
    """The revision ``latest`` was saved meanwhile; ``combined`` is it with my changes."""

    latest: AnyRevision
    places: list[Place]
    combined: dict[str, Any]

    @property
    def clashes(self) -> int:
        """At how many places both changed something."""
        return sum(place.clash for place in self.places)


def compare(
    kind: AnyKind, name: str, *, base: dict[str, Any], own: dict[str, Any], actor: Actor
) -> Conflict:
    """Return how ``own`` and the current revision differ from ``base``."""
    latest = history.latest(kind, kind.find(name, actor=actor))
    return Conflict(
        latest,
        list(json_merge.places(base, latest.document, own)),
        json_merge.combine(base, latest.document, own),
    )
