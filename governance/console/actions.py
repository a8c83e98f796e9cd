"""Actions that ask for a reason: one page, one text box, one button, no script.

``reasoned_action`` marks a method of a ``ReasonedAdmin``. It is offered on the object's page and, for a selection, on the list; the
method is called once for each object and calls one door. Who may not, or doesn't see the object, gets no further than a stranger.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from governance.access.roles import Scope
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.kernel import reasons
from governance.kernel.errors import OrbitError

SELECTABLE = 200
_SAID = 5


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label="Reason",
        max_length=reasons.MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "class": "reason"}),
    )


def _always(obj: Any) -> bool:
    return True


@dataclass(frozen=True)
class ReasonedAction:
    """What a marked method is: its label, the power that it needs, when it makes sense, and what it asks beside the reason.

    ``shows`` names a method of the admin that says what the page of one object shows above the question; ``together`` one that acts on a
    selection as a whole.
    """

    name: str
    label: str
    scope: Scope
    explains: str
    form: type[ReasonForm]
    when: Callable[[Any], bool]
    run: Callable[..., str]
    shows: str | None = None
    together: str | None = None


def reasoned_action(
    *,
    label: str,
    scope: Scope,
    explains: str,
    form: type[ReasonForm] = ReasonForm,
    when: Callable[[Any], bool] = _always,
    shows: str | None = None,
    together: str | None = None,
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Mark ``method(self, request, obj, reason, **fields of the form)``, which returns what it did, or raises OrbitError.

    ``shows(self, request, obj)`` returns a ``template`` and what it needs; ``together(self, request, objects, reason, **fields)`` is called
    in place of the method for a selection.
    """

    def mark(method: Callable[..., str]) -> Callable[..., str]:
        method.reasoned = ReasonedAction(  # type: ignore[attr-defined]
            method.__name__, label, scope, explains, form, when, method, shows, together
        )
        return method

    return mark


class ReasonedAdmin(ReadOnlyAdmin):
    """A table with actions that ask for a reason."""

    change_form_template = "console/object.html"

    def reasoned(self, request: HttpRequest) -> list[ReasonedAction]:
        """Return the actions that the person may use."""
        marked = [
            getattr(getattr(type(self), name, None), "reasoned", None) for name in dir(type(self))
        ]
        return [
            action
            for action in marked
            if isinstance(action, ReasonedAction) and actor_of(request).may(action.scope)
        ]

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer the reasoned actions for a selection, and no others."""
        return {
            action.name: (self._of_selection(action), action.name, action.label)
            for action in self.reasoned(request)
        }

    def get_urls(self) -> list[URLPattern]:
        """Add a page for each action of an object."""
        return [
            path(
                "<path:object_id>/" + action.name + "/",
                self.admin_site.admin_view(self._of_one(action)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{action.name}",
            )
            for action in self._all()
        ] + super().get_urls()

    def _all(self) -> list[ReasonedAction]:
        marked = [
            getattr(getattr(type(self), name, None), "reasoned", None) for name in dir(type(self))
        ]
        return [action for action in marked if isinstance(action, ReasonedAction)]

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, str]]:
        """Return label and address of each action that makes sense for ``obj``."""
        prefix = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_"
        return [
            {"label": a.label, "url": reverse(prefix + a.name, args=[obj.pk])}
            for a in self.reasoned(request)
            if a.when(obj)
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the object with its actions."""
        obj = self.get_object(request, object_id)
        shown = {
            "buttons": [] if obj is None else self.buttons(request, obj),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, shown)

    def _of_one(self, action: ReasonedAction) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            obj = self.get_object(request, object_id) if self.has_view_permission(request) else None
            if obj is None:
                raise Http404
            back = reverse(
                f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change",
                args=[obj.pk],
            )
            return self._ask(
                request, action, [obj], back=back, sent=request.method == "POST", hidden={}
            )

        return view

    def _of_selection(self, action: ReasonedAction) -> Callable[..., HttpResponse | None]:
        def run(
            model_admin: Any, request: HttpRequest, queryset: "QuerySet[Any]"
        ) -> HttpResponse | None:
            chosen = list(queryset[: SELECTABLE + 1])
            if len(chosen) > SELECTABLE:
                messages.error(
                    request,
                    f"That is more than {SELECTABLE} at once. Narrow the list with a filter first.",
                )
                return None
            if not chosen:
                messages.error(request, "None of what was chosen is there any more.")
                return None
            hidden = {"action": [action.name], "_selected_action": [str(obj.pk) for obj in chosen]}
            return self._ask(
                request,
                action,
                chosen,
                back=request.get_full_path(),
                sent="asked" in request.POST,
                hidden=hidden,
            )

        return run

    def _ask(
        self,
        request: HttpRequest,
        action: ReasonedAction,
        chosen: list[Any],
        *,
        back: str,
        sent: bool,
        hidden: dict[str, list[str]],
    ) -> HttpResponse:
        if not actor_of(request).may(action.scope):
            raise PermissionDenied
        form = action.form(request.POST if sent else None)
        if sent and form.is_valid():
            together = action.together if "action" in hidden else None
            self._act(request, action, [chosen] if together else chosen, dict(form.cleaned_data))
            return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "action": action,
            "chosen": chosen,
            "form": form,
            "hidden": hidden,
            "back": back,
            "shown": getattr(self, action.shows)(request, chosen[0])
            if action.shows and "action" not in hidden
            else None,
        }
        return TemplateResponse(request, "console/reason.html", context)

    def _act(
        self, request: HttpRequest, action: ReasonedAction, chosen: list[Any], given: dict[str, Any]
    ) -> None:
        done: list[str] = []
        refused: list[str] = []
        for obj in chosen:
            many = isinstance(obj, list)
            try:
                done.append(
                    getattr(self, str(action.together))(request, obj, **given)
                    if many
                    else action.run(self, request, obj, **given)
                )
            except OrbitError as error:
                refused.append(error.detail if many else f"{obj}: {error.detail}")
        for words, level in ((done, messages.SUCCESS), (refused, messages.ERROR)):
            for line in words[:_SAID]:
                messages.add_message(request, level, line)
            if len(words) > _SAID:
                messages.add_message(request, level, f"and {len(words) - _SAID} more")
