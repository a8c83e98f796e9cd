"""Start a cycle now, or one of every enabled run profile."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.models import Namespace
from orbit.cycles import orchestrate, trigger
from orbit.cycles.orchestrate import Call
from orbit.models import RunProfile
from orbit.states import ProfileState, Trigger

_MAX_OFFERED = 500
# Less than the time that the web server gives a request.
_SECONDS = 20.0
_MAX_OUTCOMES = 500
#: Not a valid id of a run profile.
_ALL = "*"


class TriggerForm(ReasonForm):
    """What to start, and why."""

    run_profile_id = forms.ChoiceField(label="Run profile", required=False)
    namespace = forms.ChoiceField(label="Namespace", required=False)
    field_order = ("run_profile_id", "namespace", "reason")

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(
            request.POST if request.method == "POST" else None, initial=request.GET.dict()
        )
        actor = actor_of(request)
        run_profiles = RunProfile.objects.filter(
            actor.filter(), hidden=False, state=ProfileState.ENABLED
        ).values_list("run_profile_id", flat=True)
        namespaces = Namespace.objects.filter(actor.filter("name")).values_list("name", flat=True)
        self._offer(
            "run_profile_id", run_profiles, ("", "none: a raw cycle"), (_ALL, "all enabled ones")
        )
        self._offer("namespace", namespaces, ("", "namespace of the run profile"))

    def _offer(self, name: str, values: Any, *first: tuple[str, str]) -> None:
        field: Any = self.fields[name]
        field.choices = [*first, *((value, value) for value in values[:_MAX_OFFERED])]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        # Each run profile runs in its own namespace.
        if values.get("run_profile_id") == _ALL and values.get("namespace"):
            self.add_error(
                "namespace", "Each run profile runs in its own namespace: choose none here."
            )
        return values


@pages.page(
    "orbit/cyclerun/trigger/",
    name="orbit_cyclerun_trigger",
    title="Trigger",
    scope=Scope.OPERATE,
    sends=Scope.OPERATE,
)
def trigger_page(request: HttpRequest) -> HttpResponse:
    """Ask what to start and why, and start it; or say why not, and what is in the way."""
    form, refused = TriggerForm(request), None
    if form.is_valid():
        try:
            return _start(request, **form.cleaned_data)
        except OrbitError as error:
            refused = error
    return pages.draw(request, "console/trigger.html", title="Trigger", form=form, refused=refused)


def _start(
    request: HttpRequest, *, run_profile_id: str, namespace: str, reason: str
) -> HttpResponse:
    origin: dict[str, Any] = {"source": Trigger.ADMIN, "actor": actor_of(request), "reason": reason}
    if run_profile_id == _ALL:
        outcomes = orchestrate.all_enabled(**origin, call=Call(seconds=_SECONDS))
        return pages.draw(
            request,
            "console/outcomes.html",
            title="Triggered",
            outcomes=outcomes[:_MAX_OUTCOMES],
            more=max(0, len(outcomes) - _MAX_OUTCOMES),
            counts=orchestrate.counts(outcomes),
        )
    started = trigger.start(
        namespace=namespace or None, run_profile_id=run_profile_id or None, **origin
    )
    verb = "resumed" if started.resumed else "started"
    messages.success(request, f"Cycle {started.cycle_id} {verb} in {started.namespace}.")
    return HttpResponseRedirect(reverse("admin:orbit_cyclerun_change", args=[started.cycle_id]))
