"""The page that pauses everything and ends the pause; the environment's own is shown with its hosts, and isn't switched here."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from governance.access.roles import Scope
from governance.admin.namespaces import UntilForm
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.namespaces import gate, pauses, status
from orbit.cycles import maintenance


@pages.page("pause/", name="pause", title="Pause", group="Now", sends=Scope.OPERATE, workspace=True)
def pause_page(request: HttpRequest) -> HttpResponse:
    """Show what is paused, by whom and since when; pause everything, or end the console's pause."""
    actor, found = actor_of(request), pauses.read()
    ends = (
        request.POST.get("deed") == "unpause"
        if request.method == "POST"
        else found.since is not None
    )
    form: forms.Form = (ReasonForm if ends else UntilForm)(
        request.POST if request.method == "POST" else None
    )
    if form.is_bound and form.is_valid():
        try:
            _act(request, ends, form.cleaned_data)
        except OrbitError as error:
            form.add_error("until" if error.code == "invalid_until" else None, error.detail)
        else:
            return HttpResponseRedirect(request.path)
    context: dict[str, Any] = {
        "found": found,
        "ends": ends,
        "form": form,
        "here": gate.paused_here(),
        "hosts": maintenance.paused_hosts(),
    }
    return pages.draw(
        request,
        "console/pause.html",
        title="Pause",
        may=actor.may(Scope.OPERATE),
        history=status.history(None),
        **context,
    )


def _act(request: HttpRequest, ends: bool, given: dict[str, Any]) -> None:
    if ends:
        pauses.unpause(actor=actor_of(request), reason=given["reason"])
        messages.success(request, "The pause is over: what was stopped goes on.")
    else:
        pauses.pause(actor=actor_of(request), reason=given["reason"], until=given["until"])
        messages.success(request, "Everything is paused.")
