"""Dead letters: Requeue and Dismiss for one, some or all that match."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IS_FACETS_VAR
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from governance.access.roles import Scope
from governance.console import display, filters
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from governance.operations.bulk import StartedRun
from orbit.dispatch import bulk, dead_letters
from orbit.dispatch.bulk import LetterFilter
from orbit.dispatch.dead_letters import ErrorGroup
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints, EndpointDrift
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_MAX_GROUPS = 20
_MAX_LABEL = 60
#: Parameters of the list's address that narrow a bulk run too, and the filter's name for each.
_FILTERS = {
    "namespace": "namespace",
    "group": "group",
    "endpoint_key__exact": "endpoint_key",
    "cycle__id__exact": "cycle_run_id",
}
#: Parameters that don't change which letters the list shows.
_ORDERING = {ORDER_VAR, PAGE_VAR, ALL_VAR, ERROR_FLAG, IS_FACETS_VAR}
#: Parameters with a value that means the open letters.
_NEUTRAL = {SEARCH_VAR: [""], "status": [str(Letter.OPEN)]}
_ENDPOINT_NOW = {
    EndpointDrift.SAME: "unchanged",
    EndpointDrift.CHANGED: "changed since then: requeue with the endpoint as it is now",
    EndpointDrift.GONE: "no longer configured",
}


class RequeueForm(ReasonForm):
    """The reason and the choices of a requeue."""

    endpoint = forms.ChoiceField(
        label="Endpoint",
        choices=[
            ("snapshot", "as it was when the delivery was made"),
            ("current", "as it is configured now"),
        ],
        initial="snapshot",
    )
    new_key = forms.BooleanField(
        label="New delivery id: the receiver takes it for another delivery and may act twice",
        required=False,
    )


class BulkRequeueForm(RequeueForm):
    """A requeue of many, at a rate."""

    rate = forms.IntegerField(
        label="Letters a second", min_value=1, max_value=bulk.MAX_RATE, initial=bulk.RATE
    )


class GroupFilter(SimpleListFilter):
    """Filter by group. Offers only the largest."""

    title, parameter_name = "group", "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = _largest_groups(request)
        # Django drops a filter without choices, and would then ignore the group in the address.
        return [(group.group, _label(group)[:_MAX_LABEL]) for group in groups] or [("", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() is None else queryset.filter(error_group=self.value())


@admin.register(DeadLetterDispatch)
class DeadLetterDispatchAdmin(ReasonedAdmin):
    """Deliveries that failed for good. Only a user sends one again."""

    namespace_path = "namespace"
    exported = (
        "id",
        "status",
        "namespace",
        "endpoint_key",
        "reason",
        "status_code",
        "last_error",
        "attempts",
        "error_group",
        "job_id",
        "cycle_id",
        "first_failed_at",
        "last_failed_at",
        "created_at",
        "resolved_by",
        "resolved_at",
        "resolved_reason",
    )
    list_display = (
        "id",
        "status_badge",
        "endpoint_key",
        "last_error",
        "created_at",
        "namespace",
        "reason",
        "attempts",
        "endpoint_now",
    )
    list_filter = (filters.choice("status", Letter), GroupFilter)
    search_fields = ("id", "job", "cycle")
    links = ("cycle", "cycle__id__exact", "endpoint_key", "endpoint_key__exact")
    readonly_fields = ("endpoint_now",)
    change_list_template = "console/dead_letters.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Not an annotation: the list's count would have to join it.
        rows = super().get_queryset(request).select_related("job__snapshot")
        return rows.defer("job__snapshot__sealed")

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "requeue": (BulkRequeueForm, bulk.requeue),
            "dismiss": (ReasonForm, bulk.dismiss),
        }
        return [
            path(
                f"{name}-matching/",
                self.admin_site.admin_view(self._bulk_view(name.capitalize(), form, start)),
                name=f"orbit_deadletterdispatch_{name}_matching",
            )
            for name, (form, start) in pages.items()
        ] + super().get_urls()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_operate = actor_of(request).may(Scope.OPERATE)
        conditions = _conditions(request.GET)
        groups = [] if "group" in request.GET else _largest_groups(request)
        context = {
            "groups": [{"label": _label(group), "row": group} for group in groups],
            "may_operate": may_operate,
            "matching": None if conditions is None or not may_operate else urlencode(conditions),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description="status")
    def status_badge(self, letter: DeadLetterDispatch) -> str:
        return display.badge(letter.status)

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

    def _bulk_view(
        self, label: str, form_class: type[ReasonForm], start: Callable[..., StartedRun]
    ) -> Callable[[HttpRequest], HttpResponse]:

        def view(request: HttpRequest) -> HttpResponse:
            actor = actor_of(request)
            if not actor.may(Scope.OPERATE):
                raise PermissionDenied
            conditions = _conditions(request.GET)
            if conditions is None:
                # The run would take other letters than the list shows.
                raise BadRequest("a run can't be narrowed by all parameters of this address")
            form = form_class(request.POST if request.method == "POST" else None)
            if form.is_valid():
                try:
                    started = start(_to_filter(conditions), actor=actor, **form.cleaned_data)
                except OrbitError as error:
                    messages.error(request, error.detail)
                else:
                    return _show_run(request, started)
            context = {
                **self.admin_site.each_context(request),
                "title": f"{label} all that match",
                "opts": self.opts,
                "form": form,
                "label": label,
                "conditions": {_FILTERS[name]: value for name, value in conditions.items()},
                "back": urlencode(conditions),
            }
            return TemplateResponse(request, "console/matching.html", context)

        return view


def _show_run(request: HttpRequest, started: StartedRun) -> HttpResponse:
    level = messages.SUCCESS if started.created else messages.INFO
    verb = "takes" if started.created else "is active already and takes"
    messages.add_message(
        request, level, f"Operation run {started.run_id} {verb} {started.matched} dead letters."
    )
    return HttpResponseRedirect(
        reverse("admin:governance_operationrun_change", args=[started.run_id])
    )


def _largest_groups(request: HttpRequest) -> list[ErrorGroup]:
    # Once a request: the filter and the page both ask.
    groups: list[ErrorGroup] | None = getattr(request, "dead_letter_groups", None)
    if groups is None:
        groups = dead_letters.error_groups(actor_of(request), limit=_MAX_GROUPS)
        request.dead_letter_groups = groups  # type: ignore[attr-defined] # a cache of our own
    return groups


def _label(group: ErrorGroup) -> str:
    return f"{group.endpoint_key}: {group.reason.replace('_', ' ')}, {group.error}"


def _conditions(query: QueryDict) -> dict[str, str] | None:
    """Return the parameters that narrow a run, None if others narrow the list."""
    narrowing = {
        name: values
        for name, values in query.lists()
        if name not in _ORDERING and values != _NEUTRAL.get(name)
    }
    if all(
        name in _FILTERS and len(values) == 1 and values[0] for name, values in narrowing.items()
    ):
        return {name: str(narrowing[name][0]) for name in _FILTERS if name in narrowing}
    return None


def _to_filter(conditions: Mapping[str, str]) -> LetterFilter:
    values: dict[str, Any] = {_FILTERS[name]: value for name, value in conditions.items()}
    if "cycle_run_id" in values:
        try:
            values["cycle_run_id"] = UUID(values["cycle_run_id"])
        except ValueError:
            raise BadRequest("cycle__id__exact is not a UUID") from None
    return LetterFilter(**values)
