"""The page of the search."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.console import pages
from governance.console.base import actor_of
from orbit_site.search import find


@pages.page("search/", name="search", title="Search")
def search(request: HttpRequest) -> HttpResponse:
    """Open what ``?q=`` names exactly, or list what fits."""
    result = find.find(request.GET.get("q", ""), actor_of(request))
    if result.only:
        return redirect(result.only)
    return pages.draw(
        request,
        "console/search.html",
        title="Search",
        result=result,
        unsearched=find.UNSEARCHED,
    )
