"""The page that one shift leaves to the next."""

from urllib.parse import urlencode

from django.http import HttpRequest

from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import clock
from orbit_site import handover


@pages.page("handover/", "Handover", "console/handover.html")
def page(request: HttpRequest) -> pages.Answer:
    """Show what was done in the last hours, with a link that stays the same."""
    query = request.GET
    since, until = handover.window(
        query.get("hours", ""), query.get("until", ""), now=clock.now().replace(microsecond=0)
    )
    namespace, hours = query.get("namespace", ""), round((until - since).total_seconds() / 3600)
    link = {
        "hours": hours,
        "until": until.isoformat(),
        **({"namespace": namespace} if namespace else {}),
    }
    return {
        "shift": handover.read(actor_of(request), since=since, until=until, namespace=namespace),
        "hours": hours,
        "choices": (4, 8, 12, 24),
        "namespace": namespace,
        "link": f"?{urlencode(link)}",
    }
