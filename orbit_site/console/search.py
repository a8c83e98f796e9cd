"""The page of the search."""

from django.http import HttpRequest
from django.shortcuts import redirect

from governance.console import pages
from governance.console.base import actor_of
from orbit_site.search import find


@pages.page("search/", "Search", "console/search.html")
def search(request: HttpRequest) -> pages.Answer:
    """Open what ``?q=`` names exactly, or list what fits."""
    result = find.find(request.GET.get("q", ""), actor_of(request))
    if result.only:
        return redirect(result.only)
    return {"result": result, "unsearched": find.UNSEARCHED}
