"""The page of saved filters."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from orbit_site.saved_filters import keep, listing


@pages.page("saved/", name="saved_filters", title="Saved filters", sends=Scope.READ)
def saved(request: HttpRequest) -> HttpResponse:
    """Show the user's filters; on POST save, pin or delete one."""
    if request.method == "POST" and pages.tried(request, partial(keep.act, request)):
        return redirect("admin:saved_filters")
    return pages.draw(
        request,
        "console/saved.html",
        title="Saved filters",
        choices=listing.every(request),
        typed=request.POST.dict(),
    )
