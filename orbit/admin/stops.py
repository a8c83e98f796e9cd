"""Namespaces with Halt, Drain and Resume; the Halt page; the pause; a page to create a namespace.

Halt and pause concern the cycles, so the pages show these too: hence not in governance.
"""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from governance.access import users
from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin, ReasonForm, UntilForm, reasoned_action
from governance.console.base import PageAdmin, actor_of
from governance.models import Namespace
from governance.namespaces import gate, halts, pauses, registry, status
from governance.states import Mode
from orbit.cycles import maintenance, stops

_AT_UNTIL = {"invalid_until": "until"}


class HaltForm(UntilForm):
    """A halt needs no reason: stopping must be quick."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False


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
class NamespaceAdmin(PageAdmin, ReasonedAdmin):
    """The tenants: what runs there, what stops them."""

    namespace_path = "name"
    list_display = ("name",)
    list_per_page = 24
    search_fields = ("name", "external_id")
    change_list_template = "console/namespaces.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return status.rows(actor_of(request)).order_by("name")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        actor = actor_of(request)
        may_create = actor.may(Scope.ADMINISTER) and actor.namespaces is None
        page = super().changelist_view(
            request, {"may_create": may_create, "title": "Namespaces", **(extra_context or {})}
        )
        if changelist := getattr(page, "context_data", {}).get("cl"):
            page.context_data["cards"] = self._cards(request, changelist.result_list)  # type: ignore[attr-defined]
        return page

    def page(self, request: HttpRequest, row: Any) -> HttpResponse:
        (card,) = self._cards(request, [row])
        halted = card["status"].state in {Mode.HALTING, Mode.QUIET}
        return self.draw(
            request,
            "console/namespace.html",
            row,
            title=row.name,
            card=card,
            progress=stops.progress(row.name) if halted else None,
            stops=status.history(row.pk),
        )

    def _cards(self, request: HttpRequest, rows: Any) -> list[dict[str, Any]]:
        names = [row.name for row in rows]
        activity, access = stops.activity(names), {}
        if actor_of(request).may(Scope.ADMINISTER):
            access = users.with_access(names)
        return [
            {
                "row": row,
                "status": status.of(row),
                "activity": activity[row.name],
                "users": access.get(row.name, []),
            }
            for row in rows
        ]

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
        preview="resume_preview",
    )
    def resume(self, request: HttpRequest, row: Any, reason: str) -> str:
        return _message(halts.resume(row.name, actor=actor_of(request), reason=reason))

    def resume_preview(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what goes on after Resume."""
        effects = stops.resume_preview(row.name, status.of(row).since)
        return {"template": "console/_resume_preview.html", "effects": effects}


@pages.page("halt/", name="halt", title="Halt", scope=Scope.OPERATE, sends=Scope.OPERATE)
def halt_page(request: HttpRequest) -> HttpResponse:
    """Ask which namespace to halt (``?namespace=`` suggests one), and halt it."""
    actor = actor_of(request)
    suggested = {"namespace": request.GET.get("namespace", "")}
    form = HaltPageForm(request.POST or None, initial=suggested)

    def halt(namespace: str, **values: Any) -> str:
        return _message(halts.halt(namespace, actor=actor, **values))

    if pages.done(request, form, halt, refused_at="namespace", by_code=_AT_UNTIL):
        row = status.row_of(form.cleaned_data["namespace"], actor=actor)
        return redirect("admin:governance_namespace_change", row.pk)
    return pages.draw(request, "console/halt.html", title="Halt", form=form)


@pages.page("pause/", name="pause", title="Pause", sends=Scope.OPERATE, workspace=True)
def pause_page(request: HttpRequest) -> HttpResponse:
    """Show the pause; on POST pause everything or end the console's pause."""
    pause, actor = pauses.read(), actor_of(request)
    # On POST the button that the user saw decides: it may have changed since.
    ends = request.POST.get("action", "unpause" if pause.since else "pause") == "unpause"
    form = (ReasonForm if ends else UntilForm)(request.POST or None)

    def switch(**values: Any) -> str:
        (pauses.unpause if ends else pauses.pause)(actor=actor, **values)
        return "The pause has ended. Cycles go on." if ends else "Everything is paused."

    if pages.done(request, form, switch, by_code=_AT_UNTIL):
        return redirect("admin:pause")
    return pages.draw(
        request,
        "console/pause.html",
        title="Pause",
        pause=pause,
        ends=ends,
        form=form,
        here=gate.paused_here(),
        # A pause by the environment: only shown, it can't be ended here.
        hosts=maintenance.paused_hosts(),
        progress=stops.progress(None) if pause.since else None,
        preview={"effects": stops.resume_preview(None, pause.since)} if pause.since else None,
        may_operate=actor.may(Scope.OPERATE),
        stops=status.history(None),
    )


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
    form = NamespaceForm(request.POST or None)

    def create(name: str) -> str:
        registry.create(name, actor=actor_of(request))
        return f"Namespace {name} created."

    if pages.done(request, form, create, refused_at="name"):
        return redirect("admin:governance_namespace_changelist")
    return pages.draw(request, "console/namespace_new.html", title="Create namespace", form=form)


def _message(namespace: status.NamespaceStatus) -> str:
    ends = namespace.until and timezone.localtime(namespace.until)
    until = f" until {ends:%Y-%m-%d %H:%M:%S %Z}" if ends else ""
    return f"{namespace.namespace} is {namespace.state}{until}."
