"""Actions that ask for a reason: one page, one text box, one button, no script."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.console.base import ReadOnlyAdmin, actor_of, draw
from governance.kernel import reasons
from governance.kernel.errors import OrbitError

SELECTABLE = 200
_MAX_MESSAGES = 5


class ReasonForm(forms.Form):
    """Asks for a reason. Subclasses ask for more."""

    reason = forms.CharField(
        label="Reason",
        max_length=reasons.MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "class": "reason"}),
    )


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


@dataclass(frozen=True, kw_only=True)
class reasoned_action:
    """Marks ``method(self, actor, obj, reason, **fields of the form)`` as an action.

    The method returns a message, or raises OrbitError.
    """

    #: For Django's templates: they show the action, and don't mark anything.
    do_not_call_in_templates: ClassVar[bool] = True

    label: str
    explains: str
    scope: Scope = Scope.OPERATE
    form: type[ReasonForm] = ReasonForm
    #: Whether the action makes sense for an object.
    when: Callable[[Any], bool] = lambda obj: True
    #: ``preview(actor, obj)``: what ``preview_template`` shows above the form.
    preview: Callable[[Actor, Any], Any] | None = None
    preview_template: str = ""
    #: Names a method ``(self, actor, objects, reason, **fields)`` that runs once for a selection.
    together: str | None = None
    #: Returns the hidden fields that tell which state of the object the user saw. Such an action
    #: takes no selection.
    seen: Callable[[Any], dict[str, Any]] | None = None
    #: The method's.
    name: str = ""

    def __call__(self, method: Callable[..., str]) -> Callable[..., str]:
        method.reasoned = replace(self, name=method.__name__)  # type: ignore[attr-defined]
        return method


class ReasonedAdmin(ReadOnlyAdmin):
    """A table with actions that ask for a reason."""

    change_form_template = "console/object.html"

    @classmethod
    def reasoned_actions(cls) -> list[reasoned_action]:
        """Return all actions of the table."""
        marks = [getattr(getattr(cls, name, None), "reasoned", None) for name in dir(cls)]
        return [action for action in marks if isinstance(action, reasoned_action)]

    def allowed_actions(self, request: HttpRequest) -> list[reasoned_action]:
        """Return the actions that the user may use."""
        actor = actor_of(request)
        return [action for action in self.reasoned_actions() if actor.may(action.scope)]

    def get_actions(self, request: HttpRequest) -> Any:
        return {
            action.name: (partial(self._selection_view, action), action.name, action.label)
            for action in self.allowed_actions(request)
            if action.seen is None
        }

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url_of(
                action.name, f"<path:object_id>/{action.name}/", partial(self._object_view, action)
            )
            for action in self.reasoned_actions()
        ] + super().get_urls()

    def _url(self, page: str, obj: Any) -> str:
        name = f"{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(f"{self.admin_site.name}:{name}", args=[obj.pk])

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, str]]:
        return [
            {"label": action.label, "url": self._url(action.name, obj)}
            for action in self.allowed_actions(request)
            if action.when(obj)
        ]

    def _object_view(
        self, action: reasoned_action, request: HttpRequest, object_id: str
    ) -> HttpResponse:
        obj, is_sent = self.get_or_404(request, object_id), request.method == "POST"
        return self._ask(request, action, [obj], back=self._url("change", obj), is_sent=is_sent)

    def _selection_view(
        self, action: reasoned_action, _: Any, request: HttpRequest, queryset: "QuerySet[Any]"
    ) -> HttpResponse | None:
        objects = list(queryset[: SELECTABLE + 1])
        if 0 < len(objects) <= SELECTABLE:
            back, is_sent = request.get_full_path(), "asked" in request.POST
            return self._ask(
                request, action, objects, back=back, is_sent=is_sent, is_selection=True
            )
        typed = request.POST.get("reason", "")
        unsaved = f" Your reason was not saved: {typed}" if typed else ""
        messages.error(
            request,
            f"That is more than {SELECTABLE} at once. Narrow the list with a filter first."
            if objects
            else f"None of the selected objects is here any more.{unsaved}",
        )
        return None

    def _ask(
        self,
        request: HttpRequest,
        action: reasoned_action,
        objects: list[Any],
        *,
        back: str,
        is_sent: bool,
        is_selection: bool = False,
    ) -> HttpResponse:
        """Show the page that asks for a reason, or run a submitted action."""
        actor = actor_of(request)
        if not actor.may(action.scope):
            raise PermissionDenied
        form = action.form(
            request.POST if is_sent else None,
            initial=action.seen(objects[0]) if action.seen else None,
        )
        if form.is_valid():
            done, refused = self._run(action, actor, objects, is_selection, form.cleaned_data)
            if done or not refused:
                for line in _first(done):
                    messages.success(request, line)
                for line in _first(refused):
                    messages.error(request, line)
                return HttpResponseRedirect(back)
            # Nothing was done: the form comes back with what was typed.
            form.add_error(None, _first(refused))
            if action.seen and (row := self.get_object(request, str(objects[0].pk))):
                form.data = {**request.POST.dict(), **action.seen(row)}
        preview = None
        if action.preview and not is_selection:
            preview = action.preview(actor, objects[0])
        # A list sends these again, so that Django's changelist calls this action once more.
        hidden = {"action": [action.name], "_selected_action": [str(obj.pk) for obj in objects]}
        return draw(
            request,
            "console/reason.html",
            title=action.label,
            opts=self.opts,
            heading=self.heading,
            action=action,
            chosen=objects,
            form=form,
            hidden=hidden if is_selection else {},
            back=back,
            preview=preview,
        )

    def _run(
        self,
        action: reasoned_action,
        actor: Actor,
        objects: list[Any],
        is_selection: bool,
        values: dict[str, Any],
    ) -> tuple[list[str], list[str]]:
        done, refused = list[str](), list[str]()
        runs: list[tuple[str, str, Any]] = (
            [("", action.together, objects)]
            if action.together and is_selection
            else [(f"{obj}: ", action.name, obj) for obj in objects]
        )
        for prefix, method, chosen in runs:
            try:
                done.append(getattr(self, method)(actor, chosen, **values))
            except OrbitError as error:
                refused.append(prefix + error.detail)
        return done, refused


def _first(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - _MAX_MESSAGES} more"] if len(lines) > _MAX_MESSAGES else []
    return [*lines[:_MAX_MESSAGES], *more]
