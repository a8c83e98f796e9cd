"""Cycles: the list, one cycle in tabs, Cancel, Run again, Mark as seen, Compare."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import filters, pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import PageAdmin, ReadOnlyAdmin, actor_of, suggest_halt
from governance.console.keyset import KeysetChangeList
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from orbit import seen
from orbit.admin import pruned_search
from orbit.cycles import cancel, compare, detail, listing, page
from orbit.cycles.page import CyclePage
from orbit.cycles.rerun import bulk, preview, single
from orbit.models import CycleRun, SkipNotice
from orbit.states import CYCLE, Cycle, SeenKind, Trigger

_PAIR = 2


def _has_ended(cycle: CycleRun) -> bool:
    return Cycle(cycle.status) in CYCLE.final


class CycleChangeList(KeysetChangeList):
    """A page of cycles with what a list shows of each."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        lines = listing.lines(self.result_list, now=clock.now())
        for cycle in self.result_list:
            cycle.line = lines[cycle.pk]


@admin.register(CycleRun)
class CycleRunAdmin(PageAdmin, ReasonedAdmin):
    """Runs of the pipeline."""

    namespace_path = "namespace"
    list_title = "Cycles"
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
    list_display = ("id",)
    list_filter = (
        filters.choice("status", Cycle, title="outcome"),
        filters.choice("trigger", Trigger),
        filters.flag(
            "dead_letters", "dead letters", "with dead letters", listing.with_dead_letters
        ),
        filters.flag("needs", "needs a look", "failed and not seen", listing.not_seen),
        filters.typed("run_profile_id"),
        filters.moment("from", lambda cycles, at: detail.created(cycles, first=at)),
        filters.moment("to", lambda cycles, at: detail.created(cycles, before=at)),
    )
    search_fields = ("id",)
    search_help_text = "The id of a cycle"
    links = ("run_profile_id__exact", "rerun_of", "rerun_of__exact", "rerun_of__id__exact")
    change_list_template = "console/cycles.html"
    change_list = CycleChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).only(*detail.LIST_FIELDS)

    def get_actions(self, request: HttpRequest) -> Any:
        own = {"compare": (_compare, "compare", "Compare")}
        if actor_of(request).may(Scope.OPERATE):
            own["mark_seen"] = (_mark_seen, "mark_seen", "Mark as seen")
        return {**super().get_actions(request), **own}

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        pruned_search.note(request, self.get_queryset(request))
        may_trigger = actor_of(request).may(Scope.OPERATE)
        return {"may_trigger": may_trigger, "typed": request.GET.dict()}

    def read(self, request: HttpRequest, object_id: str) -> CyclePage:
        cycle_page = page.read(self.key(object_id), request.GET.dict(), actor=actor_of(request))
        suggest_halt(request, cycle_page.cycle.namespace_id)
        return cycle_page

    def page(self, request: HttpRequest, row: CyclePage) -> HttpResponse:
        return self.draw(
            request,
            "console/cycle.html",
            row.cycle,
            title=row.title,
            page=row,
            cycle=row.cycle,
            may_operate=actor_of(request).may(Scope.OPERATE),
        )

    @reasoned_action(
        label="Cancel",
        scope=Scope.OPERATE,
        explains="Ends the cycle at once. Deliveries that were made stay; those that were not sent "
        "are cancelled. A finished cycle is not changed.",
        when=lambda cycle: not _has_ended(cycle),
    )
    def cancel(self, request: HttpRequest, cycle: CycleRun, reason: str) -> str:
        cancel.cancel(cycle.pk, actor=actor_of(request), reason=reason)
        return f"Cycle {cycle.pk} cancelled."

    @reasoned_action(
        label="Run again",
        scope=Scope.OPERATE,
        explains="Starts a new cycle. It takes over what succeeded, runs the failed tiers on the "
        "old input and makes the deliveries that were never made. What was delivered is not sent "
        "again. The finished cycle is not changed.",
        when=_has_ended,
        preview="rerun_plan",
        together="run_again_many",
    )
    def run_again(self, request: HttpRequest, cycle: CycleRun, reason: str) -> str:
        new = single.start(cycle.pk, actor=actor_of(request), reason=reason, source=Trigger.ADMIN)
        return f"Cycle {cycle.pk} runs again as {new}."

    def run_again_many(self, request: HttpRequest, cycles: Sequence[CycleRun], reason: str) -> str:
        """Start an operation run over the selection."""
        ids = [cycle.pk for cycle in cycles]
        started = bulk.start(ids, actor=actor_of(request), reason=reason, source=Trigger.ADMIN)
        verb = "takes" if started.created else "is active already and takes"
        return f"Operation run {started.run_id} {verb} {started.matched} cycles."

    def rerun_plan(self, request: HttpRequest, cycle: CycleRun) -> dict[str, Any]:
        """Return what running ``cycle`` again would do, or why it is refused."""
        template = {"template": "console/_rerun.html"}
        try:
            plan = single.preview(cycle.pk, actor=actor_of(request))
        except OrbitError as refusal:
            return {**template, "refused": refusal.detail}
        return {
            **template,
            "plan": preview.document(plan),
            "sentence": preview.sentence(plan),
        }


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


def _mark_seen(
    model_admin: Any, request: HttpRequest, queryset: "QuerySet[CycleRun]"
) -> HttpResponse:
    chosen = dict(queryset.values_list("pk", "namespace_id")[: seen.MAX_KEYS])
    namespaces = {str(name) for name in chosen.values()}
    only = namespaces.pop() if len(namespaces) == 1 else None
    seen.mark(SeenKind.CYCLE, map(str, chosen), actor_of(request), namespace=only)
    if not chosen:
        messages.error(request, "None of the selected cycles exists any more.")
        return HttpResponseRedirect(request.get_full_path())
    number = f"{len(chosen)} cycle{'' if len(chosen) == 1 else 's'}"
    messages.success(request, f"You are marked as the one who looks after {number}.")
    if "from_cycle" in request.POST:
        return redirect("admin:orbit_cyclerun_change", next(iter(chosen)))
    return HttpResponseRedirect(request.get_full_path())


class CompareForm(forms.Form):
    """The two cycles to compare."""

    a = forms.UUIDField(label="First cycle")
    b = forms.UUIDField(label="Second cycle")


@pages.page("orbit/cyclerun/compare/", name="orbit_cyclerun_compare", title="Compare")
def compare_page(request: HttpRequest) -> HttpResponse:
    """Show two cycles side by side, or ask for them."""
    query = request.GET.dict()
    form = CompareForm(query if query.get("b") else None, initial=query)
    comparison, refused = None, ""
    if form.is_valid():
        a, b = (UUID(str(form.cleaned_data[name])) for name in ("a", "b"))
        try:
            comparison = compare.read(a, b, actor=actor_of(request))
        except OrbitError as refusal:
            refused = refusal.detail
    return pages.draw(
        request,
        "console/compare.html",
        title="Compare",
        status=404 if refused else 200,
        form=form,
        comparison=comparison,
        refused=refused,
        all="all" in request.GET,
    )


@admin.register(SkipNotice)
class SkipNoticeAdmin(ReadOnlyAdmin):
    """Namespaces that refused a trigger because a cycle was active."""

    namespace_path = "namespace"
    list_display = ("namespace", "written_at", "suppressed", "carried")
    ordering = ("namespace",)
