"""The tabs of the inbox: what a user can decide, what waits for others, what is decided."""

from dataclasses import dataclass

from django.db.models import Q

from advisory.models import StrategyProposal
from advisory.proposals import reading, validity, waiting
from advisory.proposals.waiting import Waiting
from advisory.states import Proposal
from governance.access.actors import Actor
from governance.access.roles import Scope

_MINE, _OTHERS, _DECIDED, _ALL = "mine", "others", "decided", "all"


@dataclass(frozen=True, slots=True)
class Tab:
    """A link of the inbox."""

    value: str
    words: str
    is_here: bool


def tabs(chosen: str, actor: Actor) -> list[Tab]:
    """Return the tabs for ``actor``; the state that the address names otherwise comes last."""
    offered = {"": "Waiting", _DECIDED: "Decided", _ALL: "All"}
    if actor.may(Scope.REVIEW):
        offered = {
            "": "Waiting",
            _MINE: "Waiting for you",
            _OTHERS: "Waiting for others",
            _DECIDED: "Decided",
            _ALL: "All",
        }
    if chosen in set(Proposal):
        offered[chosen] = chosen.capitalize()
    chosen = chosen if chosen in offered else ""
    return [Tab(value, words, value == chosen) for value, words in offered.items()]


def sentence(actor: Actor) -> str:
    """Return what waits, for ``actor`` first. Counts stop at ``waiting.COUNTED``."""
    mine = waiting.for_actor(actor)
    if mine.count:
        return mine.sentence
    rows = StrategyProposal.objects.filter(actor.filter(), validity.OPEN)
    others = Waiting([], rows.order_by("-created_at", "-id")[: waiting.COUNTED].count())
    if not others.count:
        return "No proposal waits"
    if not actor.may(Scope.REVIEW):
        return others.sentence_for("a reviewer")
    wait = "waits" if others.count == 1 else "wait"
    return f"No proposal waits for you; {others.number} {wait} for others"


def condition(chosen: str, actor: Actor) -> Q:
    """Return the condition for the rows of a tab, or of a state."""
    if chosen == _ALL:
        return Q()
    if chosen == _DECIDED:
        return ~validity.OPEN
    if chosen == _MINE:
        return validity.OPEN & reading.undecided_by(actor)
    if chosen == _OTHERS:
        return validity.OPEN & ~reading.undecided_by(actor)
    states = {str(state): state for state in Proposal}
    return validity.shown(states.get(chosen, Proposal.PENDING))
