"""What waits and what needs the user, read once for each request."""

from django.http import HttpRequest

from advisory.proposals import waiting as proposals
from advisory.proposals.waiting import Waiting
from governance.console.base import actor_of
from orbit_site.overview import summary
from orbit_site.overview.summary import Summary


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
