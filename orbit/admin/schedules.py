"""Schedules: switch, change the cron; and why something ran or didn't."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import BoundedPaginator, actor_of
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from governance.rest import queries
from orbit.schedules import change, explain, listing
from orbit.schedules.change import ScheduleUnknown
from orbit.schedules.explain import Explanation
from orbit.schedules.listing import ScheduleSummary

_PER_PAGE = 50
_LIST = "admin:orbit_schedules"


class CronForm(ReasonForm):
    """The new cron, and the reason."""

    cron = forms.CharField(
        label="Cron",
        max_length=200,
        required=False,
        help_text="Five fields: minute, hour, day of month, month, day of week. "
        "Empty: the configured cron.",
    )
    field_order = ("cron", "reason")


class WhyForm(forms.Form):
    """A run profile and a time."""

    run_profile_id = forms.CharField(label="Run profile", max_length=200)
    at = forms.CharField(
        label="Time",
        max_length=60,
        help_text="With its zone, such as 2026-01-31T06:00:00Z or 2026-01-31T06:00:00+01:00.",
    )

    def clean_at(self) -> Any:
        try:
            return queries.moment(self.cleaned_data["at"])
        except ValueError as error:
            raise forms.ValidationError(f"This {error}.") from error


@pages.page("orbit/schedules/", name="orbit_schedules", title="Schedules", group="Configuration")
def schedules(request: HttpRequest) -> HttpResponse:
    """List the schedules that the user sees."""
    rows = listing.schedules(actor_of(request))
    if name_part := request.GET.get("q", "").strip():
        rows = rows.filter(name__contains=name_part[:200])
    page = BoundedPaginator(rows, _PER_PAGE).get_page(request.GET.get("p"))
    now = clock.now()
    return pages.draw(
        request,
        "console/schedules.html",
        title="Schedules",
        schedules=[listing.summarize(row, now) for row in page],
        page=page,
        name_part=name_part,
        may_change=actor_of(request).may(Scope.CONFIGURE),
    )


@pages.page(
    "orbit/schedules/<str:name>/switch/",
    name="orbit_schedule_switch",
    title="Switch a schedule",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def switch(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the reason, and switch the schedule on or off."""
    schedule = _find(request, name)
    # The button that the user saw decides: a second click must not switch it back.
    on = (request.POST.get("on") or ("no" if schedule.row.on else "yes")) == "yes"

    def act(reason: str) -> str:
        changed = change.switch(name, on=on, actor=actor_of(request), reason=reason)
        return f"{name} is {'on' if on else 'off'}{'' if changed else ' already'}."

    return _ask(
        request,
        schedule,
        ReasonForm(request.POST if request.method == "POST" else None),
        act,
        label="Switch on" if on else "Switch off",
        explains="Its ticks are due again from now on."
        if on
        else "No tick of it is due until you switch it on again. Running cycles go on.",
        hidden={"on": "yes" if on else "no"},
    )


@pages.page(
    "orbit/schedules/<str:name>/cron/",
    name="orbit_schedule_cron",
    title="Change a cron",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def cron(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for the new cron and the reason, and set it."""
    schedule = _find(request, name)

    def act(cron: str, reason: str) -> str:
        changed = change.set_cron(name, cron=cron, actor=actor_of(request), reason=reason)
        return f"{name} has {'a new cron' if changed else 'that cron already'}."

    return _ask(
        request,
        schedule,
        CronForm(
            request.POST if request.method == "POST" else None,
            initial={"cron": schedule.row.cron},
        ),
        act,
        label="Change cron",
        explains=f"Now: {schedule.row.cron or 'off'} in {schedule.time_zone or 'no zone'}."
        f" Configured: {schedule.configured_cron or 'nothing'}. Your cron applies until you empty"
        " it or the configuration changes.",
        hidden={},
    )


@pages.page("orbit/why/", name="orbit_why", title="Why did it run?", group="Monitoring")
def why_page(request: HttpRequest) -> HttpResponse:
    """Ask for a run profile and a time, and explain."""
    form = WhyForm(request.GET if {"run_profile_id", "at"} & set(request.GET) else None)
    answer: Explanation | None = None
    if request.GET.get("run_profile_id") and "at" not in request.GET:
        form = WhyForm(
            initial={
                "run_profile_id": request.GET["run_profile_id"],
                "at": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
            }
        )
    if form.is_bound and form.is_valid():
        try:
            answer = explain.explain(
                form.cleaned_data["run_profile_id"],
                form.cleaned_data["at"],
                actor=actor_of(request),
            )
        except OrbitError as error:
            form.add_error("run_profile_id", error.detail)
    return pages.draw(
        request, "console/why.html", title="Why did it run?", form=form, answer=answer
    )


def _find(request: HttpRequest, name: str) -> ScheduleSummary:
    # A schedule that the user doesn't see must look like one that doesn't exist.
    try:
        change.find(name, actor=actor_of(request))
    except ScheduleUnknown:
        raise Http404 from None
    rows = listing.schedules(actor_of(request)).filter(name=name)
    return listing.summarize(rows[0], clock.now())


def _ask(
    request: HttpRequest,
    schedule: ScheduleSummary,
    form: ReasonForm,
    act: Callable[..., str],
    *,
    label: str,
    explains: str,
    hidden: dict[str, str],
) -> HttpResponse:
    if form.is_bound and form.is_valid():
        try:
            messages.success(request, act(**form.cleaned_data))
        except OrbitError as error:
            form.add_error("cron" if error.errors and "cron" in form.fields else None, error.detail)
        else:
            return HttpResponseRedirect(reverse(_LIST))
    return pages.draw(
        request,
        "console/schedule.html",
        title=label,
        schedule=schedule,
        form=form,
        label=label,
        explains=explains,
        hidden=hidden,
    )
