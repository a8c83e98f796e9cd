"""What waits behind the places of the menu."""

from collections.abc import Mapping

from django.http import HttpRequest

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance.console.base import actor_of
from orbit_site.overview import summary, things
from orbit_site.overview.summary import Summary

#: Address of a place, as in ``menu.PLACES`` -> (what is shown, CSS class: "" or "bad").
Counts = Mapping[str, tuple[str, str]]


def waiting(request: HttpRequest) -> Waiting:
    """Return what waits for the user's decision, read once for each request."""
    answer: Waiting | None = getattr(request, "console_waiting", None)
    if answer is None:
        answer = proposals.for_actor(actor_of(request))
        request.console_waiting = answer  # type: ignore[attr-defined]
    return answer


def overview(request: HttpRequest, namespace: str) -> Summary:
    """Return the user's overview, read once for each request."""
    answer: Summary | None = getattr(request, "console_overview", None)
    if answer is None:
        answer = summary.of(actor_of(request), namespace=namespace, waiting=waiting(request))
        request.console_overview = answer  # type: ignore[attr-defined]
    return answer


def of(request: HttpRequest, namespace: str) -> Counts:
    """Return the counts of the places where something waits."""
    answer = overview(request, namespace)
    kinds = [problem.kind for problem in answer.problems]
    numbers = {
        "orbit/cyclerun/": (answer.facts["active"], ""),
        "orbit/deadletterdispatch/": (answer.facts["dead"], "bad"),
        "alerts/": (answer.facts["alerts"], "bad"),
        "governance/operationrun/": (answer.facts["operations"], ""),
        "config/drift/": (kinds.count("drift"), ""),
    }
    counts = {
        place: (things.number(count), style) for place, (count, style) in numbers.items() if count
    }
    if answer.waiting.count:
        counts["advisory/strategyproposal/"] = (answer.waiting.number, "")
    return counts
