"""Run again, for one cycle or a selection, and Compare."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from governance.access.roles import Scope
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from orbit.cycles import compare
from orbit.cycles.rerun import bulk, preview, single
from orbit.models import CycleRun
from orbit.states import CYCLE, Cycle, Trigger

_PAIR = 2


class CompareForm(forms.Form):
    """The two cycles to compare."""

    a = forms.UUIDField(label="First cycle")
    b = forms.UUIDField(label="Second cycle")


def has_ended(cycle: CycleRun) -> bool:
    """Return whether the cycle is in a final status."""
    return Cycle(cycle.status) in CYCLE.final


class RerunAdmin(ReasonedAdmin):
    """Actions on finished cycles."""

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "compare/",
                self.admin_site.admin_view(self.compare_view),
                name="orbit_cyclerun_compare",
            ),
            *super().get_urls(),
        ]

    def get_actions(self, request: HttpRequest) -> Any:
        return {**super().get_actions(request), "compare": (_compare, "compare", "Compare")}

    @reasoned_action(
        label="Run again",
        scope=Scope.OPERATE,
        explains="Starts a new cycle. It takes over what succeeded, runs the failed tiers on the "
        "old input and makes the deliveries that were never made. What was delivered is not sent "
        "again. The finished cycle is not changed.",
        when=has_ended,
        preview="rerun_plan",
        together="run_again_many",
    )
    def run_again(self, request: HttpRequest, cycle: CycleRun, reason: str) -> str:
        new = single.start(cycle.pk, actor=actor_of(request), reason=reason, source=Trigger.ADMIN)
        return f"Cycle {cycle.pk} runs again as {new}."

    def run_again_many(self, request: HttpRequest, cycles: Sequence[CycleRun], reason: str) -> str:
        """Start an operation run over the selection."""
        started = bulk.start(
            [cycle.pk for cycle in cycles],
            actor=actor_of(request),
            reason=reason,
            source=Trigger.ADMIN,
        )
        verb = "takes" if started.created else "is active already and takes"
        return f"Operation run {started.run_id} {verb} {started.matched} cycles."

    def rerun_plan(self, request: HttpRequest, cycle: CycleRun) -> dict[str, Any]:
        """Return what running ``cycle`` again would do, or why it is refused."""
        try:
            plan = single.preview(cycle.pk, actor=actor_of(request))
        except OrbitError as refusal:
            return {"template": "console/_rerun.html", "refused": refusal.detail}
        return {
            "template": "console/_rerun.html",
            "plan": preview.document(plan),
            "sentence": preview.sentence(plan),
        }

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Show two cycles side by side, or ask for them."""
        form = CompareForm(
            {"a": request.GET.get("a", ""), "b": request.GET.get("b", "")}
            if request.GET.get("b")
            else None,
            initial=request.GET.dict(),
        )
        comparison, refused = None, ""
        if form.is_valid():
            try:
                comparison = compare.read(
                    form.cleaned_data["a"], form.cleaned_data["b"], actor=actor_of(request)
                )
            except OrbitError as refusal:
                refused = refusal.detail
        context = {
            **self.admin_site.each_context(request),
            "title": "Compare",
            "opts": self.opts,
            "form": form,
            "comparison": comparison,
            "refused": refused,
            "all": "all" in request.GET,
        }
        return TemplateResponse(
            request, "console/compare.html", context, status=404 if refused else 200
        )


def compare_address(cycle: CycleRun, reruns: Sequence[CycleRun]) -> str:
    """Return the address that compares ``cycle`` with another, or asks for one."""
    # The cycle that it repeats, else its newest re-run.
    other: UUID | None = cycle.rerun_of_id or (reruns[-1].pk if reruns else None)
    first, second = (other, cycle.pk) if cycle.rerun_of_id else (cycle.pk, other)
    return reverse("admin:orbit_cyclerun_compare") + (
        f"?a={first}&b={second}" if other else f"?a={cycle.pk}"
    )


def _compare(
    model_admin: Any, request: HttpRequest, queryset: "QuerySet[CycleRun]"
) -> HttpResponse | None:
    cycle_ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: _PAIR + 1])
    if len(cycle_ids) != _PAIR:
        messages.error(request, "Choose two cycles to compare.")
        return None
    return HttpResponseRedirect(
        f"{reverse('admin:orbit_cyclerun_compare')}?a={cycle_ids[0]}&b={cycle_ids[1]}"
    )
