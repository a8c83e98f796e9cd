"""The page of saved filters."""

from functools import partial

from django.http import HttpRequest
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from orbit_site.saved_filters import keep, listing


@pages.page("saved/", "Saved filters", "console/saved.html", sends=Scope.READ)
def saved(request: HttpRequest) -> pages.Answer:
    """Show the user's filters; on POST save, pin or delete one."""
    if request.method == "POST" and pages.tried(request, partial(keep.act, request)):
        return redirect("admin:saved")
    return {"choices": listing.every(request), "typed": request.POST.dict()}
