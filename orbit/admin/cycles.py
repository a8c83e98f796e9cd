"""Cycles: the list, one cycle in tabs, Cancel, Run again, Mark as seen, Compare."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import filters, pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import PageAdmin, ReadOnlyAdmin, actor_of, suggest_halt
from governance.console.keyset import KeysetChangeList
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from orbit.cycles import cancel, compare, detail, listing, page
from orbit.cycles.page import CyclePage
from orbit.cycles.rerun import bulk, preview, single
from orbit.models import CycleRun, SkipNotice
from orbit.records import pruned
from orbit.states import CYCLE, Cycle, Trigger

_PAIR = 2


def _has_ended(cycle: CycleRun) -> bool:
    return Cycle(cycle.status) in CYCLE.final


@admin.register(CycleRun)
class CycleRunAdmin(PageAdmin, ReasonedAdmin):
    """Runs of the pipeline."""

    namespace_path = "namespace"
    list_title = "Cycles"
    exported = detail.EXPORTED
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
    change_list = KeysetChangeList
    page_template = "console/cycle.html"

    def listed(self, request: HttpRequest, rows: Any) -> Any:
        lines = listing.lines(rows, now=clock.now())
        for cycle in rows:
            cycle.line = lines[cycle.pk]
        return rows

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).only(*detail.LIST_FIELDS)

    def get_actions(self, request: HttpRequest) -> Any:
        own = {"compare": (_compare, "compare", "Compare")}
        if actor_of(request).may(Scope.OPERATE):
            own["mark_seen"] = (_mark_seen, "mark_seen", "Mark as seen")
        return {**super().get_actions(request), **own}

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        if why := pruned.of_search(request.GET.get("q", ""), self.get_queryset(request)):
            messages.info(request, why)
        return {}

    def read(self, request: HttpRequest, object_id: str) -> CyclePage:
        cycle_page = page.read(self.key(object_id), request.GET.dict(), actor=actor_of(request))
        suggest_halt(request, cycle_page.cycle.namespace_id)
        return cycle_page

    def page(self, request: HttpRequest, row: CyclePage) -> HttpResponse:
        return self.draw(request, row.cycle, title=row.title, page=row, cycle=row.cycle)

    @reasoned_action(
        label="Cancel",
        explains="Ends the cycle at once. Deliveries that were made stay; those that were not sent "
        "are cancelled. A finished cycle is not changed.",
        when=lambda cycle: not _has_ended(cycle),
    )
    def cancel(self, actor: Actor, cycle: CycleRun, reason: str) -> str:
        cancel.cancel(cycle.pk, actor=actor, reason=reason)
        return f"Cycle {cycle.pk} cancelled."

    @reasoned_action(
        label="Run again",
        explains="Starts a new cycle. It takes over what succeeded, runs the failed tiers on the "
        "old input and makes the deliveries that were never made. What was delivered is not sent "
        "again. The finished cycle is not changed.",
        when=_has_ended,
        preview=lambda actor, cycle: preview.of_page(cycle.pk, actor=actor),
        preview_template="console/_rerun.html",
        together="run_again_many",
    )
    def run_again(self, actor: Actor, cycle: CycleRun, reason: str) -> str:
        new = single.start(cycle.pk, actor=actor, reason=reason, source=Trigger.ADMIN)
        return f"Cycle {cycle.pk} runs again as {new}."

    def run_again_many(self, actor: Actor, cycles: Sequence[CycleRun], reason: str) -> str:
        """Start an operation run over the selection."""
        ids = [cycle.pk for cycle in cycles]
        return bulk.start(ids, actor=actor, reason=reason, source=Trigger.ADMIN).sentence("cycles")


def _compare(_: Any, request: HttpRequest, queryset: "QuerySet[Any]") -> HttpResponse | None:
    cycle_ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: _PAIR + 1])
    if len(cycle_ids) != _PAIR:
        messages.error(request, "Choose two cycles to compare.")
        return None
    a, b = cycle_ids
    return redirect(f"{reverse('admin:orbit_cyclerun_compare')}?a={a}&b={b}")


def _mark_seen(_: Any, request: HttpRequest, queryset: "QuerySet[Any]") -> HttpResponse:
    cycle_ids = listing.mark_seen(queryset, actor_of(request))
    if not cycle_ids:
        messages.error(request, "None of the selected cycles exists any more.")
        return redirect(request.get_full_path())
    number = f"{len(cycle_ids)} cycle{'' if len(cycle_ids) == 1 else 's'}"
    messages.success(request, f"You are marked as the one who looks after {number}.")
    if "from_cycle" in request.POST:
        return redirect("admin:orbit_cyclerun_change", cycle_ids[0])
    return redirect(request.get_full_path())


class CompareForm(forms.Form):
    """The two cycles to compare."""

    a = forms.UUIDField(label="First cycle")
    b = forms.UUIDField(label="Second cycle")


@pages.page("orbit/cyclerun/compare/", "Compare", "console/compare.html")
def compare_page(request: HttpRequest) -> pages.Answer:
    """Show two cycles side by side, or ask for them."""
    query = request.GET.dict()
    form = CompareForm(query if query.get("b") else None, initial=query)
    comparison, refused = None, ""
    if form.is_valid():
        try:
            comparison = compare.read(**form.cleaned_data, actor=actor_of(request))
        except OrbitError as refusal:
            refused = refusal.detail
    return {
        "status": 404 if refused else 200,
        "form": form,
        "comparison": comparison,
        "refused": refused,
        "all": "all" in query,
    }


@admin.register(SkipNotice)
class SkipNoticeAdmin(ReadOnlyAdmin):
    """Namespaces that refused a trigger because a cycle was active."""

    namespace_path = "namespace"
    list_display = ("namespace", "written_at", "suppressed", "carried")
    ordering = ("namespace",)
