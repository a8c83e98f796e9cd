"""Dead letters: their groups, and Requeue and Dismiss for one, for a selection, and for all that match."""

from collections.abc import Mapping
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
from orbit.dispatch import bulk, dead_letters
from orbit.dispatch.dead_letters import ErrorGroup
from orbit.dispatch.endpoint_drift import Configuration, Today
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_OFFERED = 20
_SHORT = 60
#: What an address of the list may say, and what a bulk run's filter calls it.
_NAMES = {
    "namespace": "namespace",
    "group": "group",
    "endpoint_key__exact": "endpoint_key",
    "cycle__id__exact": "cycle_run_id",
}
#: What it may say beside that without narrowing the list to other letters than the open ones.
_ORDERING = {ORDER_VAR, PAGE_VAR, ALL_VAR, ERROR_FLAG, IS_FACETS_VAR}
_ANY = {SEARCH_VAR: [""], "status": [str(Letter.OPEN)]}
_TODAY = {
    Today.SAME: "as it was then",
    Today.CHANGED: "changed since (url, token or another setting): Requeue with the endpoint as it is now",
    Today.GONE: "no longer configured",
}


class RequeueForm(ReasonForm):
    """How to send it again."""

    endpoint = forms.ChoiceField(
        label="Endpoint",
        choices=[
            ("snapshot", "as it was when the delivery was made"),
            ("current", "as it is configured now"),
        ],
        initial="snapshot",
    )
    new_key = forms.BooleanField(
        label="New key: the receiver takes it for another delivery, and may act twice",
        required=False,
    )


class RequeueManyForm(RequeueForm):
    """How to send many again."""

    rate = forms.IntegerField(
        label="Letters a second", min_value=1, max_value=bulk.MAX_RATE, initial=bulk.RATE
    )


class GroupFilter(SimpleListFilter):
    """By group, of the largest ones; another one may be named in the address."""

    title, parameter_name = "group", "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the largest groups."""
        return [(group.group, _words(group)[:_SHORT]) for group in _groups(request)] or [
            ("", "none")
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        return queryset if self.value() is None else queryset.filter(error_group=self.value())


@admin.register(DeadLetterDispatch)
class DeadLetterDispatchAdmin(ReasonedAdmin):
    """Deliveries that were given up; only a person sends one again."""

    namespace_path = "namespace"
    list_display = (
        "id",
        "status_shown",
        "endpoint_key",
        "last_error",
        "created_at",
        "namespace",
        "reason",
        "attempts",
        "endpoint_today",
    )
    list_filter = (filters.NamespaceFilter, filters.choice("status", Letter), GroupFilter)
    search_fields = ("id", "job", "cycle")
    links = ("cycle", "cycle__id__exact", "endpoint_key", "endpoint_key__exact")
    readonly_fields = ("endpoint_today",)
    change_list_template = "console/dead_letters.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Have the endpoint that the job keeps at hand, without what is sealed of it. By no annotation: a count would have to join it."""
        return (
            super()
            .get_queryset(request)
            .select_related("job__snapshot")
            .defer("job__snapshot__sealed")
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the pages for all that match."""
        many = {"requeue": (RequeueManyForm, bulk.requeue), "dismiss": (ReasonForm, bulk.dismiss)}
        return [
            path(
                f"{name}-matching/",
                self.admin_site.admin_view(self._of_all(name, *how)),
                name=f"orbit_deadletterdispatch_{name}_matching",
            )
            for name, how in many.items()
        ] + super().get_urls()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the groups above the list, and what may be done with all that match."""
        may = actor_of(request).may(Scope.OPERATE)
        wanted = _wanted(request.GET)
        shown = {
            "groups": [
                {"words": _words(group), "row": group}
                for group in ([] if "group" in request.GET else _groups(request))
            ],
            "may": may,
            "matching": urlencode(wanted) if may and wanted is not None else None,
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    @admin.display(description="status")
    def status_shown(self, letter: DeadLetterDispatch) -> str:
        """The status as a badge."""
        return display.badge(letter.status)

    @admin.display(description="endpoint today")
    def endpoint_today(self, letter: DeadLetterDispatch) -> str:
        """How today's configuration of its endpoint differs from that of an open letter's job."""
        return (
            _TODAY[Configuration().compare(letter.endpoint_key, letter.job.snapshot.fingerprint)]
            if letter.status == Letter.OPEN
            else "-"
        )

    @reasoned_action(
        label="Requeue",
        scope=Scope.OPERATE,
        explains="A new delivery job is made of it, under the same delivery id: a receiver that did act the first time won't act twice.",
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
        """Send it again."""
        job = dead_letters.requeue(
            letter.pk, actor=actor_of(request), reason=reason, endpoint=endpoint, new_key=new_key
        )
        return f"Dead letter {letter.pk} requeued as job {job}."

    @reasoned_action(
        label="Dismiss",
        scope=Scope.OPERATE,
        explains="It is closed without being sent. Nothing is deleted.",
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def dismiss(self, request: HttpRequest, letter: DeadLetterDispatch, reason: str) -> str:
        """Close it."""
        dead_letters.dismiss(letter.pk, actor=actor_of(request), reason=reason)
        return f"Dead letter {letter.pk} dismissed."

    def _of_all(self, name: str, form_class: type[ReasonForm], start: Any) -> Any:
        def view(request: HttpRequest) -> HttpResponse:
            actor = actor_of(request)
            if not actor.may(Scope.OPERATE):
                raise PermissionDenied
            wanted = _wanted(request.GET)
            if wanted is None:
                raise BadRequest(
                    "the address narrows the list by something that a run can't be told"
                )
            form = form_class(request.POST if request.method == "POST" else None)
            if form.is_valid():
                try:
                    started = start(_filter(wanted), actor=actor, **form.cleaned_data)
                except OrbitError as error:
                    messages.error(request, error.detail)
                else:
                    level = messages.SUCCESS if started.created else messages.INFO
                    said = f"Operation run {started.run_id} {'takes' if started.created else 'is under way, and takes'} {started.matched} dead letters."
                    messages.add_message(request, level, said)
                    return HttpResponseRedirect(
                        reverse("admin:governance_operationrun_change", args=[started.run_id])
                    )
            label = f"{name.capitalize()} all that match"
            context = {**self.admin_site.each_context(request), "title": label, "opts": self.opts, "form": form, "label": name.capitalize(),
                       "wanted": {_NAMES[key]: value for key, value in wanted.items()}, "back": urlencode(wanted)}  # fmt: skip
            return TemplateResponse(request, "console/matching.html", context)

        return view


def _groups(request: HttpRequest) -> list[ErrorGroup]:
    """Return the largest groups, read once for each request."""
    known: list[ErrorGroup] | None = getattr(request, "dead_letter_groups", None)
    if known is None:
        known = dead_letters.error_groups(actor_of(request), limit=_OFFERED)
        request.dead_letter_groups = known  # type: ignore[attr-defined]
    return known


def _words(group: ErrorGroup) -> str:
    return f"{group.endpoint_key}: {group.reason.replace('_', ' ')}, {group.error}"


def _wanted(sent: QueryDict) -> dict[str, str] | None:
    """Return what of the list's address narrows a bulk run too; None where the list shows anything else than a run would take."""
    narrowing = {
        name: values
        for name, values in sent.lists()
        if name not in _ORDERING and values != _ANY.get(name)
    }
    told = all(
        name in _NAMES and len(values) == 1 and values[0] for name, values in narrowing.items()
    )
    return {name: str(narrowing[name][0]) for name in _NAMES if name in narrowing} if told else None


def _filter(wanted: Mapping[str, str]) -> bulk.LetterFilter:
    given: dict[str, Any] = {_NAMES[name]: value for name, value in wanted.items()}
    if "cycle_run_id" in given:
        try:
            given["cycle_run_id"] = UUID(given["cycle_run_id"])
        except ValueError:
            raise BadRequest("cycle__id__exact is no UUID") from None
    return bulk.LetterFilter(**given)
