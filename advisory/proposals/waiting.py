"""The proposals that wait for an actor's decision."""

from dataclasses import dataclass

from advisory.models import StrategyProposal
from advisory.proposals import reading, validity
from governance.access.actors import Actor
from governance.access.roles import Scope

#: The menu has it on every page, so it reads so many rows at most.
COUNTED = 100
LISTED = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """The newest proposals that an actor can decide, and how many there are up to ``COUNTED``."""

    first: list[StrategyProposal]
    count: int

    @property
    def number(self) -> str:
        """The count, such as "3" or "100+"."""
        return f"{self.count}" if self.count < COUNTED else f"{COUNTED}+"

    @property
    def sentence(self) -> str:
        """For example "3 proposals wait for you"."""
        return self.sentence_for("you")

    def sentence_for(self, whom: str) -> str:
        """Return for example "3 proposals wait for a reviewer"."""
        what = "proposal waits" if self.count == 1 else "proposals wait"
        return f"{self.number} {what} for {whom}"


def for_actor(actor: Actor) -> Waiting:
    """Return what waits for ``actor``, by one statement; without the permission to decide none."""
    if not actor.may(Scope.REVIEW):
        return Waiting([], 0)
    rows = StrategyProposal.objects.filter(
        actor.filter(), validity.OPEN, reading.undecided_by(actor)
    )
    newest = rows.order_by("-created_at", "-id").only(
        "id", "title", "profile_id", "namespace", "created_at", "expires_at"
    )
    proposals = list(newest[:COUNTED])
    return Waiting(proposals[:LISTED], len(proposals))
