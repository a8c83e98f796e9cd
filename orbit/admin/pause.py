"""The page that pauses everything and ends the pause."""

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
    """Show the pause; on POST pause everything or end the console's pause."""
    pause = pauses.read()
    # On POST the button that the user saw decides: it may have changed since.
    ends = (
        request.POST.get("action") == "unpause"
        if request.method == "POST"
        else pause.since is not None
    )
    form: forms.Form = (ReasonForm if ends else UntilForm)(
        request.POST if request.method == "POST" else None
    )
    if form.is_bound and form.is_valid():
        try:
            _pause_or_unpause(request, ends, form.cleaned_data)
        except OrbitError as error:
            form.add_error("until" if error.code == "invalid_until" else None, error.detail)
        else:
            return HttpResponseRedirect(request.path)
    context: dict[str, Any] = {
        "pause": pause,
        "ends": ends,
        "form": form,
        "here": gate.paused_here(),
        # A pause by the environment: only shown, it can't be ended here.
        "hosts": maintenance.paused_hosts(),
    }
    return pages.draw(
        request,
        "console/pause.html",
        title="Pause",
        may_operate=actor_of(request).may(Scope.OPERATE),
        history=status.history(None),
        **context,
    )


def _pause_or_unpause(request: HttpRequest, ends: bool, values: dict[str, Any]) -> None:
    if ends:
        pauses.unpause(actor=actor_of(request), reason=values["reason"])
        messages.success(request, "The pause has ended. Cycles go on.")
    else:
        pauses.pause(actor=actor_of(request), reason=values["reason"], until=values["until"])
        messages.success(request, "Everything is paused.")
