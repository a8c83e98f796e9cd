"""How a cycle ended: pure, from what its stages did to its status."""

from dataclasses import asdict, dataclass
from typing import Any

from orbit.states import Cycle


@dataclass(frozen=True, slots=True)
class Stage:
    """How one stage ended. ``done`` of ``total`` parts went well; a skipped stage did nothing, and is not ok."""

    name: str
    ok: bool
    done: int = 0
    total: int = 0
    skipped: bool = False

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ReusedCounts:
    """What a re-run has of earlier cycles: items, the deliveries that they were to be, and how many of these were made before."""

    items: int = 0
    wanted: int = 0
    delivered: int = 0


NOTHING = ReusedCounts()


def stages(
    *,
    tiers_ok: int,
    items: int,
    targets: int,
    jobs: int,
    delivered: int,
    reused: ReusedCounts = NOTHING,
) -> list[Stage]:
    """Return the four stages of a cycle that came to its end, with what it ``reused`` of earlier cycles.

    ``items`` are those that it made, ``targets`` the endpoints that it names, ``jobs`` those that could be made.
    """
    wanted, done, made = (
        items * targets + reused.wanted,
        delivered + reused.delivered,
        items + reused.items,
    )
    return [
        Stage("initiation", True, 1, 1),
        Stage("transformations", tiers_ok == 3, tiers_ok, 3),
        Stage(
            "normalization", made > 0 and made == tiers_ok, made, tiers_ok, skipped=tiers_ok == 0
        ),
        Stage(
            "dispatch",
            wanted > 0 and done == wanted,
            done,
            wanted,
            skipped=jobs == 0 and reused.delivered == 0,
        ),
    ]


def status(found: list[Stage]) -> Cycle:
    """Return ``success`` when all stages are ok, ``partial_success`` when some are, ``failed`` when none is."""
    ok = sum(stage.ok for stage in found)
    if ok == len(found):
        return Cycle.SUCCESS
    return Cycle.PARTIAL_SUCCESS if ok else Cycle.FAILED
