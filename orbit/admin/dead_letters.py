"""Dead letters: groups by cause, their letters, and Requeue and Dismiss for one or many."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from governance.access.roles import Scope
from governance.console import export, filters, pages
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.operations.bulk import StartedRun
from governance.plots import charts
from orbit.dispatch import bulk, bulk_preview, dead_letters, error_groups, letter_choice
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints, EndpointDrift
from orbit.dispatch.error_groups import GroupFilter
from orbit.dispatch.letter_choice import ChoiceInvalid, LetterChoice
from orbit.dispatch.letter_forms import BulkForm, BulkRequeueForm, RequeueForm
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

#: With one of these the list shows letters, else groups.
_OF_LETTERS = {"group", "cycle__id__exact", SEARCH_VAR, PAGE_VAR, ERROR_FLAG, export.PARAMETER}
_TABS = {Letter.OPEN: "Open", Letter.DISMISSED: "Dismissed", letter_choice.ALL: "All"}.items()
_ENDPOINT_NOW = {
    EndpointDrift.SAME: "unchanged",
    EndpointDrift.CHANGED: "changed since then",
    EndpointDrift.GONE: "no longer configured",
}


@dataclass(frozen=True)
class _Bulk:
    label: str
    form: type[BulkForm]
    start: Callable[..., StartedRun]
    rate: int


_BULK = {
    "requeue": _Bulk("Requeue", BulkRequeueForm, bulk.requeue, bulk.RATE),
    "dismiss": _Bulk("Dismiss", BulkForm, bulk.dismiss, bulk.MAX_RATE),
}


@admin.register(DeadLetterDispatch)
class DeadLetterDispatchAdmin(ReasonedAdmin):
    """Deliveries that failed for good. Only a user sends one again."""

    namespace_path = "namespace"
    list_title = "Dead letters"
    badges = ("status",)
    list_display = (
        "id",
        "status_badge",
        "endpoint_key",
        "last_error",
        "created_at",
        "namespace",
        "attempts",
        "endpoint_now",
    )
    exported = export.columns(DeadLetterDispatch)
    list_filter = (
        filters.choice("status", Letter),
        filters.typed("error_group", parameter="group", every=letter_choice.ALL),
    )
    search_fields = ("id", "job", "cycle")
    links = ("cycle", "cycle__id__exact", "endpoint_key", "endpoint_key__exact")
    readonly_fields = ("endpoint_now",)
    change_list_template = "console/dead_letters.html"
    change_form_template = "console/letter.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Not an annotation: the list's count would have to join it.
        rows = super().get_queryset(request).select_related("job__snapshot")
        return rows.defer("job__snapshot__sealed")

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, Any] = {f"{name}-matching": partial(_bulk_page, name) for name in _BULK}
        views["seen"] = _mark_seen
        return [
            path(
                f"{address}/",
                self.admin_site.admin_view(view),
                name=f"orbit_deadletterdispatch_{address.replace('-', '_')}",
            )
            for address, view in views.items()
        ] + super().get_urls()

    def get_actions(self, request: HttpRequest) -> Any:
        may_operate = actor_of(request).may(Scope.OPERATE)
        return {
            name: (partial(_choose, name), name, action.label)
            for name, action in _BULK.items()
            if may_operate
        }

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        actor, action = actor_of(request), request.POST.get("action")
        if action in _BULK and request.POST.get("select_across") == "1":
            # Django asks for a selected row too, which a browser without scripts doesn't send.
            return _bulk_page(action, request)
        looks = action is None and not _OF_LETTERS.intersection(request.GET)
        if looks and self.has_view_permission(request):
            return _groups_page(request)
        group, is_readable = request.GET.get("group", ""), letter_choice.is_readable
        context = {
            "group": error_groups.find(group, actor=actor) if group else None,
            "may_operate": actor.may(Scope.OPERATE),
            "matching": request.GET.urlencode() if is_readable(dict(request.GET.lists())) else None,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def title_of(self, row: DeadLetterDispatch) -> str:
        return f"Dead letter at {row.endpoint_key}: {row.last_error or row.reason}"

    @admin.display(description="endpoint now")
    def endpoint_now(self, letter: DeadLetterDispatch) -> str:
        if letter.status != Letter.OPEN:
            return "-"
        configured = ConfiguredEndpoints()
        return _ENDPOINT_NOW[
            configured.compare(letter.endpoint_key, letter.job.snapshot.fingerprint)
        ]

    @reasoned_action(
        label="Requeue",
        scope=Scope.OPERATE,
        explains="Creates a new delivery job with the same delivery id: a receiver that acted on "
        "the first delivery doesn't act twice.",
        form=RequeueForm,
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def requeue(
        self,
        request: HttpRequest,
        letter: DeadLetterDispatch,
        reason: str,
        endpoint: Any,
        new_key: bool,
    ) -> str:
        job_id = dead_letters.requeue(
            letter.pk, actor=actor_of(request), reason=reason, endpoint=endpoint, new_key=new_key
        )
        return f"Dead letter {letter.pk} requeued as job {job_id}."

    @reasoned_action(
        label="Dismiss",
        scope=Scope.OPERATE,
        explains="Closes it without sending it. Nothing is deleted.",
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def dismiss(self, request: HttpRequest, letter: DeadLetterDispatch, reason: str) -> str:
        dead_letters.dismiss(letter.pk, actor=actor_of(request), reason=reason)
        return f"Dead letter {letter.pk} dismissed."


def _groups_page(request: HttpRequest) -> HttpResponse:
    actor, query = actor_of(request), request.GET
    status = query.get("status") or Letter.OPEN
    filters_ = GroupFilter(
        None if status == letter_choice.ALL else status,
        query.get("namespace") or None,
        query.get("endpoint_key__exact") or None,
    )
    groups = error_groups.read(actor, filters_)
    return pages.draw(
        request,
        "console/letter_groups.html",
        title=str(groups),
        groups=groups,
        rows=[
            (*row, charts.spark(row[0].trend, title="Letters in the last 16 hours"))
            for row in groups.rows()
        ],
        shows=status,
        tabs=_TABS,
        endpoint=filters_.endpoint_key,
        query=query.urlencode(),
        may_operate=actor.may(Scope.OPERATE),
    )


def _mark_seen(request: HttpRequest) -> HttpResponse:
    if not actor_of(request).may(Scope.OPERATE):
        raise PermissionDenied
    groups = error_groups.mark_seen(request.POST.getlist("group"), actor=actor_of(request))
    if groups:
        messages.success(request, f"You look after {', '.join(map(str, groups))}.")
    else:
        messages.error(request, "Nothing was marked. Select open groups first.")
    return _to_list(request)


def _to_list(request: HttpRequest) -> HttpResponse:
    address = reverse("admin:orbit_deadletterdispatch_changelist")
    return HttpResponseRedirect(f"{address}?{request.GET.urlencode()}")


def _choose(
    name: str, model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse:
    """Preview a run over the selected rows."""
    ids = queryset.values_list("pk", flat=True)[: bulk.MAX_IDS]
    return _preview_page(request, name, LetterChoice(ids=tuple(ids)))


def _bulk_page(name: str, request: HttpRequest) -> HttpResponse:
    if not actor_of(request).may(Scope.OPERATE):
        raise PermissionDenied
    try:
        choice = letter_choice.read(dict(request.GET.lists()), dict(request.POST.lists()))
        return _preview_page(request, name, choice)
    except ChoiceInvalid as error:
        raise BadRequest(error.detail) from None
    except OrbitError as error:
        messages.error(request, error.detail)
        return _to_list(request)


def _preview_page(request: HttpRequest, name: str, choice: LetterChoice) -> HttpResponse:
    action, actor = _BULK[name], actor_of(request)
    preview = bulk_preview.read(choice, actor=actor)
    frozen = request.POST.get("frozen")
    form = action.form(None if frozen is None else request.POST, count=preview.open)
    if frozen is not None and form.is_valid():
        try:
            preview.ensure_unchanged(frozen)
            started = action.start(
                preview.ids, actor=actor, namespace=preview.namespace, **form.choices()
            )
        except OrbitError as error:
            form.add_error(None, error.detail)
        else:
            return _show_run(request, started)
    return pages.draw(
        request,
        "console/matching.html",
        title=f"{action.label} {preview}",
        name=name,
        label=action.label,
        form=form,
        preview=preview,
        choice=choice,
        rate=action.rate,
        seconds=preview.open / action.rate,
        query=request.GET.urlencode(),
    )


def _show_run(request: HttpRequest, started: StartedRun) -> HttpResponse:
    level = messages.SUCCESS if started.created else messages.INFO
    verb = "takes" if started.created else "is active already and takes"
    messages.add_message(
        request, level, f"Operation run {started.run_id} {verb} {started.matched} dead letters."
    )
    return redirect("admin:governance_operationrun_change", started.run_id)
