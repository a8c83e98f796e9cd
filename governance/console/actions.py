"""Actions that ask for a reason: one page, one text box, one button, no script."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import ReadOnlyAdmin, actor_of
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


def _always(obj: Any) -> bool:
    return True


@dataclass(frozen=True)
class ReasonedAction:
    """A marked method; see ``reasoned_action``."""

    name: str
    label: str
    scope: Scope
    explains: str
    form: type[ReasonForm]
    when: Callable[[Any], bool]
    run: Callable[..., str]
    #: Names a method ``(self, request, obj)``. Its dict, with a ``template``, is shown above the
    #: form.
    preview: str | None = None
    #: Names a method ``(self, request, objects, reason, **fields)`` that runs once for a selection.
    together: str | None = None
    #: Returns the hidden fields that tell which state of the object the user saw. Such an action
    #: takes no selection.
    seen: Callable[[Any], dict[str, Any]] | None = None


def reasoned_action(
    *,
    label: str,
    scope: Scope,
    explains: str,
    form: type[ReasonForm] = ReasonForm,
    when: Callable[[Any], bool] = _always,
    preview: str | None = None,
    together: str | None = None,
    seen: Callable[[Any], dict[str, Any]] | None = None,
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Mark ``method(self, request, obj, reason, **fields of the form)`` as an action.

    The method returns a message, or raises OrbitError.
    """

    def mark(method: Callable[..., str]) -> Callable[..., str]:
        method.reasoned = ReasonedAction(  # type: ignore[attr-defined]
            method.__name__, label, scope, explains, form, when, method, preview, together, seen
        )
        return method

    return mark


class ReasonedAdmin(ReadOnlyAdmin):
    """A table with actions that ask for a reason."""

    change_form_template = "console/object.html"

    @classmethod
    def reasoned_actions(cls) -> list[ReasonedAction]:
        """Return all actions of the table."""
        marks = [getattr(getattr(cls, name, None), "reasoned", None) for name in dir(cls)]
        return [action for action in marks if isinstance(action, ReasonedAction)]

    def allowed_actions(self, request: HttpRequest) -> list[ReasonedAction]:
        """Return the actions that the user may use."""
        actor = actor_of(request)
        return [action for action in self.reasoned_actions() if actor.may(action.scope)]

    def get_actions(self, request: HttpRequest) -> Any:
        return {
            action.name: (self._selection_view(action), action.name, action.label)
            for action in self.allowed_actions(request)
            if action.seen is None
        }

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<path:object_id>/" + action.name + "/",
                self.admin_site.admin_view(self._object_view(action)),
                name=self._url_name(action.name),
            )
            for action in self.reasoned_actions()
        ] + super().get_urls()

    def _url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _url(self, page: str, obj: Any) -> str:
        return reverse(f"{self.admin_site.name}:{self._url_name(page)}", args=[obj.pk])

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, str]]:
        """Return label and address of each action that makes sense for ``obj``."""
        return [
            {"label": action.label, "url": self._url(action.name, obj)}
            for action in self.allowed_actions(request)
            if action.when(obj)
        ]

    def draw(
        self, request: HttpRequest, template: str, row: Any, *, title: str, **context: Any
    ) -> HttpResponse:
        """Draw a page of ``row`` with the buttons of its actions."""
        buttons = self.buttons(request, row)
        return pages.draw(
            request, template, title=title, opts=self.opts, buttons=buttons, **context
        )

    def object_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return what the template of ``obj`` shows beside its fields."""
        return {}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        context = {
            "buttons": [] if obj is None else self.buttons(request, obj),
            **({} if obj is None else self.object_context(request, obj)),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def _object_view(self, action: ReasonedAction) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            obj = self.get_or_404(request, object_id)
            return self._ask(
                request,
                action,
                [obj],
                back=self._url("change", obj),
                submitted=request.method == "POST",
            )

        return view

    def _selection_view(self, action: ReasonedAction) -> Callable[..., HttpResponse | None]:
        def view(
            model_admin: Any, request: HttpRequest, queryset: "QuerySet[Any]"
        ) -> HttpResponse | None:
            objects = list(queryset[: SELECTABLE + 1])
            if len(objects) > SELECTABLE:
                messages.error(
                    request,
                    f"That is more than {SELECTABLE} at once. Narrow the list with a filter first.",
                )
                return None
            if not objects:
                typed = request.POST.get("reason", "")
                unsaved = f" Your reason was not saved: {typed}" if typed else ""
                messages.error(request, f"None of the selected objects is here any more.{unsaved}")
                return None
            return self._ask(
                request,
                action,
                objects,
                back=request.get_full_path(),
                submitted="asked" in request.POST,
                is_selection=True,
            )

        return view

    def _ask(
        self,
        request: HttpRequest,
        action: ReasonedAction,
        objects: list[Any],
        *,
        back: str,
        submitted: bool,
        is_selection: bool = False,
    ) -> HttpResponse:
        """Show the page that asks for a reason, or run a submitted action."""
        if not actor_of(request).may(action.scope):
            raise PermissionDenied
        form = action.form(
            request.POST if submitted else None,
            initial=action.seen(objects[0]) if action.seen else None,
        )
        if submitted and form.is_valid():
            together = action.together if is_selection else None
            done, refused = self._run(request, action, objects, together, form.cleaned_data)
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
            preview = getattr(self, action.preview)(request, objects[0])
        # A list sends these again, so that Django's changelist calls this action once more.
        hidden = {"action": [action.name], "_selected_action": [str(obj.pk) for obj in objects]}
        return pages.draw(
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
        request: HttpRequest,
        action: ReasonedAction,
        objects: list[Any],
        together: str | None,
        values: dict[str, Any],
    ) -> tuple[list[str], list[str]]:
        done, refused = list[str](), list[str]()
        if together:
            try:
                done.append(getattr(self, together)(request, objects, **values))
            except OrbitError as error:
                refused.append(error.detail)
        else:
            for obj in objects:
                try:
                    done.append(action.run(self, request, obj, **values))
                except OrbitError as error:
                    refused.append(f"{obj}: {error.detail}")
        return done, refused


def _first(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - _MAX_MESSAGES} more"] if len(lines) > _MAX_MESSAGES else []
    return [*lines[:_MAX_MESSAGES], *more]
