"""The form of what a user prefers, and the mark on read news."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import pages
from governance.kernel import clock
from orbit_site.preferences import KEYS, READ, ZONE, keys, remember


class _PreferencesForm(forms.Form):
    zone = forms.ChoiceField(label="Time zone", required=False)
    keys = forms.BooleanField(label="Single keys are commands (? lists them)", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["zone"].choices = [  # type: ignore[attr-defined]
            ("", f"{settings.TIME_ZONE} (the installation's)"),
            *((name, name) for name in sorted(available_timezones())),
        ]


@pages.page("preferences/", "Preferences", "console/preferences.html", sends=Scope.READ)
def preferences(request: HttpRequest) -> pages.Answer:
    """Show the form and store what it says."""
    form = _PreferencesForm(
        request.POST if request.method == "POST" else None,
        initial={"zone": request.COOKIES.get(ZONE, ""), "keys": keys(request)},
    )
    if not form.is_valid():
        return {"form": form}
    answer = HttpResponseRedirect(request.get_full_path())
    remember(answer, ZONE, form.cleaned_data["zone"])
    remember(answer, KEYS, "" if form.cleaned_data["keys"] else "off")
    messages.success(request, "Saved in this browser.")
    return answer


@pages.page("news/read/", "News", sends=Scope.READ)
def news_read(request: HttpRequest) -> HttpResponse:
    """Mark the user's finished operations as read."""
    answer = HttpResponseRedirect(reverse("admin:governance_operationrun_changelist"))
    if request.method == "POST":
        # By the clock that says when an operation ended.
        remember(answer, READ, f"{clock.now():%Y-%m-%dT%H:%M:%SZ}")
    return answer
