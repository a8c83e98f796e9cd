"""Namespaces with Halt, Drain and Resume; the Halt page; a page to create one."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from governance.access.roles import Scope
from governance.console import display, filters, pages
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.kernel import reasons
from governance.kernel.errors import OrbitError
from governance.models import GovernanceSetting, Namespace, Stop
from governance.namespaces import halts, registry, status
from governance.states import Mode, Stopped


class UntilForm(ReasonForm):
    """Asks for a reason and an optional end."""

    until = forms.DateTimeField(
        label="Until (optional)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].label = f"Until ({timezone.get_current_timezone_name()}, optional)"


class HaltForm(UntilForm):
    """A halt needs no reason: stopping must be quick."""

    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=reasons.MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "class": "reason"}),
    )


class HaltPageForm(HaltForm):
    """Asks which namespace to halt."""

    namespace = forms.CharField(
        label="Namespace",
        max_length=100,
        widget=forms.TextInput(attrs={"list": "own-namespaces", "autocomplete": "off"}),
    )
    field_order = ("namespace", "reason", "until")


class NamespaceForm(forms.Form):
    """The name of a new namespace."""

    name = forms.CharField(label="Name", max_length=200, strip=False)


@admin.register(Namespace)
class NamespaceAdmin(ReasonedAdmin):
    """The tenants and their status."""

    namespace_path = "name"
    list_display = ("name", "state", "stopped_by", "why", "since", "until", "created_at")
    search_fields = ("name", "external_id")
    fields = ("name", "external_id", "created_at", "state", "stopped_by", "why", "since", "until")
    change_form_template = "console/namespace.html"
    change_list_template = "console/namespaces.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return status.rows(actor_of(request)).order_by("name")

    @admin.display(description="state")
    def state(self, row: Any) -> str:
        return display.badge(status.of(row).state)

    @admin.display(description="by")
    def stopped_by(self, row: Any) -> str:
        return status.of(row).by or "-"

    @admin.display(description="reason")
    def why(self, row: Any) -> str:
        return status.of(row).reason or "-"

    @admin.display(description="since")
    def since(self, row: Any) -> str:
        return _moment(status.of(row).since)

    @admin.display(description="until")
    def until(self, row: Any) -> str:
        return _moment(status.of(row).until)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        actor = actor_of(request)
        return super().changelist_view(
            request,
            {
                "may_create": actor.may(Scope.ADMINISTER) and actor.namespaces is None,
                **(extra_context or {}),
            },
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        return super().change_view(
            request,
            object_id,
            form_url,
            {"stops": [] if row is None else status.history(row.pk), **(extra_context or {})},
        )

    @reasoned_action(
        label="Halt namespace",
        scope=Scope.OPERATE,
        explains="Within a second no delivery starts there and every cycle stops where it is. "
        "Deliveries in flight end. Nothing is lost: cycles continue after Resume.",
        form=HaltForm,
        when=lambda row: status.of(row).state in {Mode.RUNNING, Mode.DRAINING},
    )
    def halt(self, request: HttpRequest, row: Any, reason: str, until: datetime | None) -> str:
        return _message(halts.halt(row.name, actor=actor_of(request), reason=reason, until=until))

    @reasoned_action(
        label="Drain",
        scope=Scope.OPERATE,
        explains="Running cycles finish. Nothing new starts: triggers are refused, due ticks are "
        "recorded as refused.",
        form=UntilForm,
        when=lambda row: status.of(row).state == Mode.RUNNING,
    )
    def drain(self, request: HttpRequest, row: Any, reason: str, until: datetime | None) -> str:
        return _message(halts.drain(row.name, actor=actor_of(request), reason=reason, until=until))

    @reasoned_action(
        label="Resume",
        scope=Scope.OPERATE,
        explains="The halt or drain ends. Stopped cycles continue at once where they are; what was "
        "delivered isn't sent again.",
        when=lambda row: status.of(row).state != Mode.RUNNING,
    )
    def resume(self, request: HttpRequest, row: Any, reason: str) -> str:
        return _message(halts.resume(row.name, actor=actor_of(request), reason=reason))


@admin.register(GovernanceSetting)
class GovernanceSettingAdmin(ReadOnlyAdmin):
    """The stop in force in each namespace."""

    namespace_path = "namespace__name"
    list_display = ("namespace", "mode_shown", "reason", "changed_by", "since", "until")
    list_select_related = ("namespace",)
    list_filter = (filters.choice("mode", Mode),)
    ordering = ("namespace__name",)

    @admin.display(description="mode")
    def mode_shown(self, obj: Any) -> str:
        return display.badge(obj.mode)


@admin.register(Stop)
class StopAdmin(ReadOnlyAdmin):
    """Halts, drains and pauses, active and past."""

    namespace_path = "namespace__name"
    list_display = (
        "id",
        "kind",
        "namespace",
        "reason",
        "started_by",
        "since",
        "until",
        "quiet_at",
        "ended_at",
        "ended_by",
    )
    list_select_related = ("namespace",)
    list_filter = (filters.choice("kind", Stopped),)


@pages.page("halt/", name="halt", title="Halt", scope=Scope.OPERATE, sends=Scope.OPERATE)
def halt_page(request: HttpRequest) -> HttpResponse:
    """Ask which namespace to halt (``?namespace=`` suggests one), and halt it."""
    actor = actor_of(request)
    form = (
        HaltPageForm(request.POST)
        if request.method == "POST"
        else HaltPageForm(initial={"namespace": request.GET.get("namespace", "")})
    )
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        try:
            halted = halts.halt(
                values["namespace"], actor=actor, reason=values["reason"], until=values["until"]
            )
        except OrbitError as error:
            form.add_error("until" if error.code == "invalid_until" else "namespace", error.detail)
        else:
            messages.success(request, _message(halted))
            return HttpResponseRedirect(
                reverse(
                    "admin:governance_namespace_change",
                    args=[status.row_of(halted.namespace, actor=actor).pk],
                )
            )
    return pages.draw(request, "console/halt.html", title="Halt", form=form)


@pages.page(
    "governance/namespace/new/",
    name="namespace_new",
    title="Create namespace",
    scope=Scope.ADMINISTER,
    sends=Scope.ADMINISTER,
    workspace=True,
)
def create_page(request: HttpRequest) -> HttpResponse:
    """Ask for the name of a new namespace and create it."""
    form = NamespaceForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            registry.create(form.cleaned_data["name"], actor=actor_of(request))
        except OrbitError as error:
            form.add_error("name", error.detail)
        else:
            messages.success(request, f"Namespace {form.cleaned_data['name']} created.")
            return HttpResponseRedirect(reverse("admin:governance_namespace_changelist"))
    return pages.draw(request, "console/namespace_new.html", title="Create namespace", form=form)


def _message(namespace: status.NamespaceStatus) -> str:
    until = "" if namespace.until is None else f" until {_moment(namespace.until)}"
    return f"{namespace.namespace} is {namespace.state}{until}."


def _moment(value: datetime | None) -> str:
    return "-" if value is None else f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}"
