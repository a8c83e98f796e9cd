"""What waits behind the places of the menu."""

from collections.abc import Mapping

from django.http import HttpRequest

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance.console.base import actor_of

#: Address of a place, as in ``menu.PLACES`` -> (what is shown, CSS class: "" or "bad").
Counts = Mapping[str, tuple[str, str]]


def waiting(request: HttpRequest) -> Waiting:
    """Return what waits for the user's decision, read once for each request."""
    answer: Waiting | None = getattr(request, "console_waiting", None)
    if answer is None:
        answer = proposals.for_actor(actor_of(request))
        request.console_waiting = answer  # type: ignore[attr-defined]
    return answer


def of(request: HttpRequest) -> Counts:
    """Return the counts of the places where something waits."""
    mine = waiting(request)
    return {"advisory/strategyproposal/": (mine.number, "")} if mine.count else {}
