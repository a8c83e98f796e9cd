"""Cycles: the list, the one with its verdict first, Trigger and Cancel."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from governance.access.roles import Scope
from governance.console import display, filters
from governance.console.actions import ReasonForm, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.kernel.errors import OrbitError
from governance.models import Namespace
from orbit.admin.reruns import RerunAdmin, compare_address
from orbit.cycles import cancel, detail, orchestrate, overview, trigger
from orbit.cycles.orchestrate import ProfileOutcome
from orbit.errors import CycleUnknown
from orbit.models import CycleRun, RunProfile, SkipNotice
from orbit.states import CYCLE, Cycle, ProfileState, Trigger

_OFFERED = 500
_SHOWN = 500
# No id of a run profile.
_ALL = "*"


class TriggerForm(ReasonForm):
    """What to start."""

    run_profile_id = forms.ChoiceField(label="Run profile", required=False)
    namespace = forms.ChoiceField(label="Namespace", required=False)
    field_order = ("run_profile_id", "namespace", "reason")

    def __init__(self, data: Any, *, run_profiles: list[str], namespaces: list[str]) -> None:
        super().__init__(data)
        profiles = [
            ("", "none: a raw cycle"),
            (_ALL, "all that are enabled"),
            *((name, name) for name in run_profiles),
        ]
        self.fields["run_profile_id"].choices = profiles  # type: ignore[attr-defined]
        choices = [("", "that of the run profile"), *((name, name) for name in namespaces)]
        self.fields["namespace"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse a namespace for all of them: each runs in its own."""
        given = super().clean() or {}
        if given.get("run_profile_id") == _ALL and given.get("namespace"):
            self.add_error(
                "namespace", "Each of them runs in its own namespace: leave this one out."
            )
        return given


def _ended(cycle: CycleRun) -> bool:
    return Cycle(cycle.status) in CYCLE.final


@admin.register(CycleRun)
class CycleRunAdmin(RerunAdmin):
    """Passes of the pipeline."""

    namespace_path = "namespace"
    list_display = (
        "id",
        "status_shown",
        "where",
        "run_profile_id",
        "created_at",
        "took",
        "trigger",
        "triggered_by",
    )
    list_filter = (filters.NamespaceFilter, filters.choice("status", Cycle))
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
    def status_shown(self, cycle: CycleRun) -> str:
        """The status as a badge."""
        return display.badge(cycle.status)

    @admin.display(description="namespace")
    def where(self, cycle: CycleRun) -> str:
        """The namespace's name."""
        return cycle.namespace_id

    @admin.display(description="took")
    def took(self, cycle: CycleRun) -> str:
        """How long it took, once it has ended."""
        return (
            "-"
            if cycle.finished_at is None
            else f"{(cycle.finished_at - cycle.created_at).total_seconds():.1f} s"
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the page that starts a cycle."""
        page = path(
            "trigger/", self.admin_site.admin_view(self.trigger_view), name="orbit_cyclerun_trigger"
        )
        return [page, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List, with Trigger for those who may."""
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
        """Show one cycle: the verdict, then everything that hangs on it."""
        try:
            found = (
                detail.read(self.opts.pk.to_python(object_id), actor=actor_of(request))
                if self.has_view_permission(request)
                else None
            )
        except (CycleUnknown, forms.ValidationError):
            found = None
        if found is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": f"Cycle {found.cycle.pk}",
            "opts": self.opts,
            "detail": found,
            "limit": detail.LIMIT,
            "verdict": overview.sentence(found, now=timezone.now()),
            "buttons": self.buttons(request, found.cycle),
            "compare": compare_address(found.cycle, found.reruns),
            "may_trigger": actor_of(request).may(Scope.OPERATE),
        }
        return TemplateResponse(request, "console/cycle.html", context)

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="The cycle ends at once. What was delivered stays delivered, what wasn't sent yet is cancelled. A finished cycle stays as it is.",
        when=lambda cycle: not _ended(cycle),
    )
    def cancel(self, request: HttpRequest, cycle: CycleRun, reason: str) -> str:
        """End the cycle."""
        cancel.cancel(cycle.pk, actor=actor_of(request), reason=reason)
        return f"Cycle {cycle.pk} cancelled."

    def trigger_view(self, request: HttpRequest) -> HttpResponse:
        """Ask what to start and why, and start it."""
        actor = actor_of(request)
        if not actor.may(Scope.OPERATE):
            raise PermissionDenied
        rows = RunProfile.objects.filter(actor.filter(), hidden=False, state=ProfileState.ENABLED)
        form = TriggerForm(
            request.POST if request.method == "POST" else None,
            run_profiles=list(rows.values_list("run_profile_id", flat=True)[:_OFFERED]),
            namespaces=list(
                Namespace.objects.filter(actor.filter("name")).values_list("name", flat=True)[
                    :_OFFERED
                ]
            ),
        )
        if form.is_valid():
            given = form.cleaned_data
            if given["run_profile_id"] == _ALL:
                return self._outcomes(
                    request,
                    orchestrate.all_enabled(
                        source=Trigger.ADMIN, actor=actor, reason=given["reason"]
                    ),
                )
            try:
                started = trigger.start(
                    namespace=given["namespace"] or None,
                    source=Trigger.ADMIN,
                    actor=actor,
                    run_profile_id=given["run_profile_id"] or None,
                    reason=given["reason"],
                )
            except OrbitError as error:
                messages.error(request, error.detail)
            else:
                messages.success(
                    request,
                    f"Cycle {started.cycle_id} {'resumed' if started.resumed else 'started'} in {started.namespace}.",
                )
                return HttpResponseRedirect(
                    reverse("admin:orbit_cyclerun_change", args=[started.cycle_id])
                )
        context = {
            **self.admin_site.each_context(request),
            "title": "Trigger",
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "console/trigger.html", context)

    def _outcomes(self, request: HttpRequest, outcomes: list[ProfileOutcome]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Triggered",
            "opts": self.opts,
            "outcomes": outcomes[:_SHOWN],
            "more": len(outcomes) - len(outcomes[:_SHOWN]),
            "counts": orchestrate.counts(outcomes),
        }
        return TemplateResponse(request, "console/outcomes.html", context)


@admin.register(SkipNotice)
class SkipNoticeAdmin(ReadOnlyAdmin):
    """Namespaces whose triggers met an active cycle."""

    namespace_path = "namespace"
    list_display = ("namespace", "written_at", "suppressed", "carried")
    ordering = ("namespace",)
