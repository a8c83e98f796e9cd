"""Start a cycle now, or one of every enabled run profile."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of, draw
from governance.kernel.errors import OrbitError
from orbit.cycles import orchestrate, trigger
from orbit.cycles.orchestrate import Call
from orbit.cycles.trigger_form import ALL, TriggerForm
from orbit.states import Trigger

# Less than the time that the web server gives a request.
_SECONDS = 20.0


@pages.page(
    "orbit/cyclerun/trigger/",
    "Trigger",
    "console/trigger.html",
    scope=Scope.OPERATE,
    sends=Scope.OPERATE,
)
def trigger_page(request: HttpRequest) -> pages.Answer:
    """Ask what to start and why, and start it; or say why not, and what is in the way."""
    form = TriggerForm(
        request.POST if request.method == "POST" else None,
        initial=request.GET.dict(),
        actor=actor_of(request),
    )
    refused = None
    if form.is_valid():
        try:
            return _start(request, **form.cleaned_data)
        except OrbitError as error:
            refused = error
    return {"form": form, "refused": refused}


def _start(
    request: HttpRequest, *, run_profile_id: str, namespace: str, reason: str
) -> HttpResponse:
    origin: dict[str, Any] = {"source": Trigger.ADMIN, "actor": actor_of(request), "reason": reason}
    if run_profile_id == ALL:
        outcomes = orchestrate.all_enabled(**origin, call=Call(seconds=_SECONDS))
        counts = orchestrate.counts(outcomes)
        return draw(
            request, "console/outcomes.html", title="Triggered", outcomes=outcomes, counts=counts
        )
    started = trigger.start(
        namespace=namespace or None, run_profile_id=run_profile_id or None, **origin
    )
    messages.success(request, started.sentence)
    return redirect("admin:orbit_cyclerun_change", started.cycle_id)
