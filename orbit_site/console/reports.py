"""Pages about everything: health, search, handover to the next shift, saved filters."""

from functools import partial

from django.http import HttpRequest
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import clock
from orbit_site import handover, system
from orbit_site.saved_filters import keep, listing
from orbit_site.search import find


@pages.page("health/", "System", "console/system.html", workspace=True)
def health_page(request: HttpRequest) -> pages.Answer:
    """Show what is not well first, then every line."""
    return {"system": system.read()}


@pages.page("search/", "Search", "console/search.html")
def search_page(request: HttpRequest) -> pages.Answer:
    """Open what ``?q=`` names exactly, or list what fits."""
    result = find.find(request.GET.get("q", ""), actor_of(request))
    if result.only:
        return redirect(result.only)
    return {"result": result, "unsearched": find.UNSEARCHED}


@pages.page("handover/", "Handover", "console/handover.html")
def handover_page(request: HttpRequest) -> pages.Answer:
    """Show what was done in the last hours, with a link that stays the same."""
    query, now = request.GET, clock.now().replace(microsecond=0)
    since, until = handover.window(query.get("hours", ""), query.get("until", ""), now=now)
    namespace = query.get("namespace", "")
    shift = handover.read(actor_of(request), since=since, until=until, namespace=namespace)
    return {"shift": shift, "choices": (4, 8, 12, 24)}


@pages.page("saved/", "Saved filters", "console/saved.html", sends=Scope.READ)
def saved_page(request: HttpRequest) -> pages.Answer:
    """Show the user's filters; on POST save, pin or delete one."""
    if request.method == "POST" and pages.tried(request, partial(keep.act, request)):
        return redirect("admin:saved")
    return {**listing.every(request), "typed": request.POST.dict()}


@pages.page("saved/pinned/", "Pinned filters", "console/_saved_pinned.html")
def pinned_page(request: HttpRequest) -> pages.Answer:
    """Return the dashboard's tile, which reads it after itself: a slow filter delays no more."""
    return {"choices": listing.pinned(request)}
