"""Cycles: the list, one cycle with its overview, Trigger and Cancel."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from governance.access.roles import Scope
from governance.console import display, filters, pages
from governance.console.actions import ReasonForm, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.kernel.errors import OrbitError
from governance.models import Namespace
from orbit.admin import pruned_search
from orbit.admin.reruns import RerunAdmin, compare_address, has_ended
from orbit.cycles import cancel, detail, orchestrate, trigger
from orbit.cycles.orchestrate import Call, ProfileOutcome
from orbit.errors import CycleUnknown
from orbit.models import CycleRun, RunProfile, SkipNotice
from orbit.states import Cycle, ProfileState, Trigger

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

    def __init__(self, data: Any, *, run_profiles: list[str], namespaces: list[str]) -> None:
        super().__init__(data)
        self.fields["run_profile_id"].choices = [  # type: ignore[attr-defined] # a ChoiceField
            ("", "none: a raw cycle"),
            (_ALL, "all enabled run profiles"),
            *((name, name) for name in run_profiles),
        ]
        self.fields["namespace"].choices = [  # type: ignore[attr-defined] # a ChoiceField
            ("", "namespace of the run profile"),
            *((name, name) for name in namespaces),
        ]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        # Each run profile runs in its own namespace.
        if values.get("run_profile_id") == _ALL and values.get("namespace"):
            self.add_error(
                "namespace", "Each run profile runs in its own namespace: choose none here."
            )
        return values


@admin.register(CycleRun)
class CycleRunAdmin(RerunAdmin):
    """Runs of the pipeline."""

    namespace_path = "namespace"
    exported = (
        "id",
        "status",
        "namespace",
        "run_profile_id",
        "profile_id",
        "trigger",
        "triggered_by",
        "reason",
        "created_at",
        "started_at",
        "finished_at",
        "resumes",
        "rerun_of",
    )
    list_display = (
        "id",
        "status_badge",
        "namespace_name",
        "run_profile_id",
        "created_at",
        "took",
        "trigger",
        "triggered_by",
    )
    list_filter = (filters.choice("status", Cycle),)
    search_fields = ("id",)
    links = (
        "run_profile_id",
        "run_profile_id__exact",
        "rerun_of",
        "rerun_of__exact",
        "rerun_of__id__exact",
    )
    list_display_links = ("id",)
    change_list_template = "console/cycles.html"

    @admin.display(description="status")
    def status_badge(self, cycle: CycleRun) -> str:
        return display.badge(cycle.status)

    @admin.display(description="namespace")
    def namespace_name(self, cycle: CycleRun) -> str:
        # The key is the name: no need to read the namespace.
        return cycle.namespace_id

    @admin.display(description="took")
    def took(self, cycle: CycleRun) -> str:
        if cycle.finished_at is None:
            return "-"
        return f"{(cycle.finished_at - cycle.created_at).total_seconds():.1f} s"

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "trigger/", self.admin_site.admin_view(self.trigger_view), name="orbit_cyclerun_trigger"
        )
        return [page, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pruned_search.note(request, self.get_queryset(request))
        return super().changelist_view(
            request, {"may_trigger": actor_of(request).may(Scope.OPERATE), **(extra_context or {})}
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        actor = actor_of(request)
        if not self.has_view_permission(request):
            raise Http404
        try:
            # Not Django's own read: this one has a limit, and takes payloads as excerpts.
            cycle_detail = detail.read(self.opts.pk.to_python(object_id), actor=actor)
        except CycleUnknown as error:
            raise pages.NotHere(error.detail) from None
        except ValidationError:
            raise Http404 from None
        cycle = cycle_detail.cycle
        context = {
            **self.admin_site.each_context(request),
            "title": f"Cycle {cycle.pk}",
            "opts": self.opts,
            "detail": cycle_detail,
            "limit": detail.LIMIT,
            "buttons": self.buttons(request, cycle),
            "compare": compare_address(cycle, cycle_detail.overview.reruns),
            "may_trigger": actor.may(Scope.OPERATE),
        }
        return TemplateResponse(request, "console/cycle.html", context)

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="Ends the cycle at once. Deliveries that were made stay; those that were not sent "
        "are cancelled. A finished cycle is not changed.",
        when=lambda cycle: not has_ended(cycle),
    )
    def cancel(self, request: HttpRequest, cycle: CycleRun, reason: str) -> str:
        cancel.cancel(cycle.pk, actor=actor_of(request), reason=reason)
        return f"Cycle {cycle.pk} cancelled."

    def trigger_view(self, request: HttpRequest) -> HttpResponse:
        """Ask what to start and why, and start it."""
        if not actor_of(request).may(Scope.OPERATE):
            raise PermissionDenied
        form = _trigger_form(request)
        if form.is_valid():
            try:
                return self._trigger(request, form.cleaned_data)
            except OrbitError as error:
                messages.error(request, error.detail)
        context = {
            **self.admin_site.each_context(request),
            "title": "Trigger",
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "console/trigger.html", context)

    def _trigger(self, request: HttpRequest, values: dict[str, Any]) -> HttpResponse:
        actor, reason = actor_of(request), values["reason"]
        if values["run_profile_id"] == _ALL:
            outcomes = orchestrate.all_enabled(
                source=Trigger.ADMIN, actor=actor, reason=reason, call=Call(seconds=_SECONDS)
            )
            return self._outcomes(request, outcomes)
        started = trigger.start(
            namespace=values["namespace"] or None,
            source=Trigger.ADMIN,
            actor=actor,
            run_profile_id=values["run_profile_id"] or None,
            reason=reason,
        )
        verb = "resumed" if started.resumed else "started"
        messages.success(request, f"Cycle {started.cycle_id} {verb} in {started.namespace}.")
        return HttpResponseRedirect(reverse("admin:orbit_cyclerun_change", args=[started.cycle_id]))

    def _outcomes(self, request: HttpRequest, outcomes: list[ProfileOutcome]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Triggered",
            "opts": self.opts,
            "outcomes": outcomes[:_MAX_OUTCOMES],
            "more": max(0, len(outcomes) - _MAX_OUTCOMES),
            "counts": orchestrate.counts(outcomes),
        }
        return TemplateResponse(request, "console/outcomes.html", context)


def _trigger_form(request: HttpRequest) -> TriggerForm:
    actor = actor_of(request)
    run_profiles = RunProfile.objects.filter(
        actor.filter(), hidden=False, state=ProfileState.ENABLED
    ).values_list("run_profile_id", flat=True)
    namespaces = Namespace.objects.filter(actor.filter("name")).values_list("name", flat=True)
    return TriggerForm(
        request.POST if request.method == "POST" else None,
        run_profiles=list(run_profiles[:_MAX_OFFERED]),
        namespaces=list(namespaces[:_MAX_OFFERED]),
    )


@admin.register(SkipNotice)
class SkipNoticeAdmin(ReadOnlyAdmin):
    """Namespaces that refused a trigger because a cycle was active."""

    namespace_path = "namespace"
    list_display = ("namespace", "written_at", "suppressed", "carried")
    ordering = ("namespace",)
