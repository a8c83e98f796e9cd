"""Dead letters: groups by cause, their letters, and Requeue and Dismiss for one or many."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console import export, filters
from governance.console.actions import ReasonedAdmin, reasoned_action
from governance.console.base import actor_of, draw
from governance.console.keyset import NEWER, OLDER, KeysetChangeList
from governance.kernel.errors import OrbitError
from orbit.cycles import detail
from orbit.dispatch import (
    bulk,
    bulk_preview,
    dead_letters,
    endpoint_drift,
    error_groups,
    letter_choice,
    letter_forms,
)
from orbit.dispatch.error_groups import GroupFilter
from orbit.dispatch.letter_choice import ChoiceInvalid, LetterChoice
from orbit.dispatch.letter_forms import RequeueForm
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

#: With one of these the list shows letters, else groups.
_OF_LETTERS = {"group", "cycle__id__exact", SEARCH_VAR, OLDER, NEWER, ERROR_FLAG, export.PARAMETER}
_TABS = {Letter.OPEN: "Open", Letter.DISMISSED: "Dismissed", letter_choice.ALL: "All"}.items()


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
        filters.moment("from", lambda letters, at: detail.created(letters, first=at)),
    )
    search_fields = ("id", "job", "cycle")
    links = ("cycle", "cycle__id__exact", "endpoint_key", "endpoint_key__exact")
    readonly_fields = ("endpoint_now",)
    change_list_template = "console/dead_letters.html"
    change_form_template = "console/letter.html"
    change_list = KeysetChangeList
    own_pages = {
        "requeue_matching": "requeue-matching/",
        "dismiss_matching": "dismiss-matching/",
        "seen": "seen/",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Not an annotation: the list's count would have to join it.
        rows = super().get_queryset(request).select_related("job__snapshot")
        return rows.defer("job__snapshot__sealed")

    def get_actions(self, request: HttpRequest) -> Any:
        may_operate = actor_of(request).may(Scope.OPERATE)
        return {
            name: (partial(_choose, name), name, action.label)
            for name, action in letter_forms.ACTIONS.items()
            if may_operate
        }

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        action = request.POST.get("action")
        if action in letter_forms.ACTIONS and request.POST.get("select_across") == "1":
            # Django asks for a selected row too, which a browser without scripts doesn't send.
            return _bulk_page(action, request)
        looks = action is None and not _OF_LETTERS.intersection(request.GET)
        if looks and self.has_view_permission(request):
            return _groups_page(request)
        return super().changelist_view(request, extra_context)

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        group = request.GET.get("group", "")
        return {
            "group": error_groups.find(group, actor=actor_of(request)) if group else None,
            "is_readable": letter_choice.is_readable(dict(request.GET.lists())),
        }

    def requeue_matching_view(self, request: HttpRequest) -> HttpResponse:
        """Preview and start a requeue of the letters that an address names."""
        return _bulk_page("requeue", request)

    def dismiss_matching_view(self, request: HttpRequest) -> HttpResponse:
        """Preview and start a dismissal of the letters that an address names."""
        return _bulk_page("dismiss", request)

    def seen_view(self, request: HttpRequest) -> HttpResponse:
        """Say that the user looks after the chosen groups."""
        actor = actor_of(request)
        actor.require(Scope.OPERATE)
        chosen = request.POST.getlist("group")
        groups = error_groups.mark_seen(chosen, GroupFilter.of(request.GET), actor=actor)
        if groups:
            messages.success(request, f"You look after {', '.join(map(str, groups))}.")
        else:
            messages.error(request, "Nothing was marked. Select open groups first.")
        return _to_list(request)

    def title_of(self, row: DeadLetterDispatch) -> str:
        return f"Dead letter at {row.endpoint_key}: {row.last_error or row.reason}"

    @admin.display(description="endpoint now")
    def endpoint_now(self, letter: DeadLetterDispatch) -> str:
        return endpoint_drift.in_words(letter)

    @reasoned_action(
        label="Requeue",
        explains="Creates a new delivery job with the same delivery id: a receiver that acted on "
        "the first delivery doesn't act twice.",
        form=RequeueForm,
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def requeue(self, actor: Actor, letter: DeadLetterDispatch, **fields: Any) -> str:
        job_id = dead_letters.requeue(letter.pk, actor=actor, **fields)
        return f"Dead letter {letter.pk} requeued as job {job_id}."

    @reasoned_action(
        label="Dismiss",
        explains="Closes it without sending it. Nothing is deleted.",
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def dismiss(self, actor: Actor, letter: DeadLetterDispatch, reason: str) -> str:
        dead_letters.dismiss(letter.pk, actor=actor, reason=reason)
        return f"Dead letter {letter.pk} dismissed."


def _groups_page(request: HttpRequest) -> HttpResponse:
    narrowed = GroupFilter.of(request.GET)
    groups = error_groups.read(actor_of(request), narrowed)
    return draw(
        request,
        "console/letter_groups.html",
        title=str(groups),
        groups=groups,
        rows=groups.rows(),
        shows=narrowed.status or letter_choice.ALL,
        tabs=_TABS,
        endpoint=narrowed.endpoint_key,
        query=letter_choice.tidy(request.GET).urlencode(),
    )


def _to_list(request: HttpRequest) -> HttpResponse:
    address = reverse("admin:orbit_deadletterdispatch_changelist")
    return redirect(f"{address}?{request.GET.urlencode()}")


def _choose(name: str, _: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
    """Preview a run over the selected rows."""
    ids = queryset.values_list("pk", flat=True)[: bulk.MAX_IDS]
    return _preview_page(request, name, LetterChoice(ids=tuple(ids)))


def _bulk_page(name: str, request: HttpRequest) -> HttpResponse:
    actor_of(request).require(Scope.OPERATE)
    try:
        choice = letter_choice.read(dict(request.GET.lists()), dict(request.POST.lists()))
        return _preview_page(request, name, choice)
    except ChoiceInvalid as error:
        raise BadRequest(error.detail) from None
    except OrbitError as error:
        messages.error(request, error.detail)
        return _to_list(request)


def _preview_page(request: HttpRequest, name: str, choice: LetterChoice) -> HttpResponse:
    action, actor = letter_forms.ACTIONS[name], actor_of(request)
    preview = bulk_preview.read(choice, actor=actor)
    frozen = request.POST.get("frozen")
    form = action.form(None if frozen is None else request.POST, count=preview.open)
    if form.is_valid():
        try:
            started = action.run(preview, form, frozen=frozen or "", actor=actor)
        except OrbitError as error:
            form.add_error(None, error.detail)
        else:
            messages.success(request, started.sentence("dead letters"))
            return redirect("admin:governance_operationrun_change", started.run_id)
    return draw(
        request,
        "console/matching.html",
        title=f"{action.label} {preview}",
        name=name,
        action=action,
        form=form,
        preview=preview,
        choice=choice,
        seconds=preview.open / action.rate,
    )
