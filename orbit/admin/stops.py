"""Namespaces with Halt, Drain and Resume; the Halt page; the pause; a page to create a namespace.

Halt and pause concern the cycles, so the pages show these too: hence not in governance.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonedAdmin, ReasonForm, UntilForm, reasoned_action
from governance.console.base import PageAdmin, actor_of
from governance.models import Namespace
from governance.namespaces import gate, halts, pauses, registry, status
from governance.states import Mode
from orbit.cycles import maintenance, stops
from orbit.cycles.stop_forms import HaltForm, HaltPageForm, NamespaceForm

_AT_UNTIL = {"invalid_until": "until"}


@admin.register(Namespace)
class NamespaceAdmin(PageAdmin, ReasonedAdmin):
    """The tenants: what runs there, what stops them."""

    namespace_path = "name"
    list_display = ("name",)
    list_per_page = 24
    search_fields = ("name", "external_id")
    change_list_template = "console/namespaces.html"
    page_template = "console/namespace.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return status.rows(actor_of(request)).order_by("name")

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        actor = actor_of(request)
        return {"may_create": actor.may(Scope.ADMINISTER) and actor.namespaces is None}

    def listed(self, request: HttpRequest, rows: Any) -> list[Any]:
        cards = stops.cards(rows, actor=actor_of(request))
        for card in cards:
            card.row.card = card
        return [card.row for card in cards]

    def title_of(self, row: Any) -> str:
        return str(row.name)

    def page(self, request: HttpRequest, row: Any) -> HttpResponse:
        (card,) = stops.cards([row], actor=actor_of(request))
        progress = stops.progress(row.name) if card.status.halt else None
        past = status.history(row.pk)
        return self.draw(request, row, card=card, progress=progress, stops=past)

    @reasoned_action(
        label="Halt namespace",
        explains="Within a second no delivery starts there and every cycle stops where it is. "
        "Deliveries in flight end. Nothing is lost: cycles continue after Resume.",
        form=HaltForm,
        when=lambda row: status.of(row).state in {Mode.RUNNING, Mode.DRAINING},
    )
    def halt(self, actor: Actor, row: Any, **fields: Any) -> str:
        return halts.halt(row.name, actor=actor, **fields).sentence

    @reasoned_action(
        label="Drain",
        explains="Running cycles finish. Nothing new starts: triggers are refused, due ticks are "
        "recorded as refused.",
        form=UntilForm,
        when=lambda row: status.of(row).state == Mode.RUNNING,
    )
    def drain(self, actor: Actor, row: Any, **fields: Any) -> str:
        return halts.drain(row.name, actor=actor, **fields).sentence

    @reasoned_action(
        label="Resume",
        explains="The halt or drain ends. Stopped cycles continue at once where they are; what was "
        "delivered isn't sent again.",
        when=lambda row: status.of(row).state != Mode.RUNNING,
        preview=lambda _, row: stops.resume_preview(row.name, status.of(row).since),
        preview_template="console/_resume_preview.html",
    )
    def resume(self, actor: Actor, row: Any, reason: str) -> str:
        return halts.resume(row.name, actor=actor, reason=reason).sentence


@pages.page("halt/", "Halt", "console/halt.html", scope=Scope.OPERATE, sends=Scope.OPERATE)
def halt_page(request: HttpRequest) -> pages.Answer:
    """Ask which namespace to halt (``?namespace=`` suggests one), and halt it."""
    actor, suggested = actor_of(request), {"namespace": request.GET.get("namespace", "")}
    form = HaltPageForm(request.POST or None, initial=suggested)

    def halt(namespace: str, **values: Any) -> str:
        return halts.halt(namespace, actor=actor, **values).sentence

    if pages.done(request, form, halt, refused_at="namespace", by_code=_AT_UNTIL):
        row = status.row_of(form.cleaned_data["namespace"], actor=actor)
        return redirect("admin:governance_namespace_change", row.pk)
    return {"form": form}


@pages.page("pause/", "Pause", "console/pause.html", sends=Scope.OPERATE, workspace=True)
def pause_page(request: HttpRequest) -> pages.Answer:
    """Show the pause; on POST pause everything or end the console's pause."""
    pause = pauses.read()
    # On POST the button that the user saw decides: it may have changed since.
    ends = request.POST.get("action", "unpause" if pause.since else "pause") == "unpause"
    form = (ReasonForm if ends else UntilForm)(request.POST or None)

    def switch(**values: Any) -> str:
        (pauses.unpause if ends else pauses.pause)(actor=actor_of(request), **values)
        return "The pause has ended. Cycles go on." if ends else "Everything is paused."

    if pages.done(request, form, switch, by_code=_AT_UNTIL):
        return redirect("admin:pause")
    return {
        "pause": pause,
        "ends": ends,
        "form": form,
        "here": gate.paused_here(),
        # A pause by the environment: only shown, it can't be ended here.
        "hosts": maintenance.paused_hosts(),
        "progress": stops.progress(None) if pause.since else None,
        "preview": stops.resume_preview(None, pause.since) if pause.since else None,
        "stops": status.history(None),
    }


@pages.page(
    "governance/namespace/new/",
    "Create namespace",
    "console/namespace_new.html",
    scope=Scope.ADMINISTER,
    sends=Scope.ADMINISTER,
    workspace=True,
)
def create_page(request: HttpRequest) -> pages.Answer:
    """Ask for the name of a new namespace and create it."""
    form = NamespaceForm(request.POST or None)

    def create(name: str) -> str:
        registry.create(name, actor=actor_of(request))
        return f"Namespace {name} created."

    if pages.done(request, form, create, refused_at="name"):
        return redirect("admin:governance_namespace_changelist")
    return {"form": form}
