"""Schedules: the week, the list, switch, change the cron; and why something ran or didn't."""

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.actions import ReasonForm
from governance.console.base import BoundedPaginator, actor_of
from governance.kernel import clock
from governance.kernel.errors import OrbitError
from orbit.schedules import change, explain, listing
from orbit.schedules.forms import CronForm, WhyForm
from orbit.schedules.listing import ScheduleSummary
from orbit.schedules.week import week

_PER_PAGE = 50


@pages.page("orbit/schedules/", name="orbit_schedules", title="Schedules")
def schedules(request: HttpRequest) -> HttpResponse:
    """Show the visible schedules: their week and the list."""
    actor, now = actor_of(request), clock.now()
    rows = listing.schedules(actor, namespace=request.GET.get("namespace"))
    if name_part := request.GET.get("q", "").strip():
        rows = rows.filter(name__contains=name_part[:200])
    page = BoundedPaginator(rows, _PER_PAGE).get_page(request.GET.get("p"))
    summaries = [listing.summarize(row, now) for row in page]
    return pages.draw(
        request,
        "console/schedules.html",
        title="Schedules",
        schedules=summaries,
        week=week(summaries, _day(request.GET.get("week", "")), now=now),
        page=page,
        name_part=name_part,
        query=urlencode({"q": name_part}) + "&" if name_part else "",
        may_change=actor.may(Scope.CONFIGURE),
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

    form = ReasonForm(request.POST or None)
    return _ask(request, schedule, form, act, "Switch on" if on else "Switch off", on=on)


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

    form = CronForm(request.POST or None, initial={"cron": schedule.row.cron})
    return _ask(request, schedule, form, act, "Change cron")


@pages.page("orbit/why/", name="orbit_why", title="Why did it run?")
def why_page(request: HttpRequest) -> HttpResponse:
    """Ask for a run profile and a time (default: now), and explain."""
    bound = "at" in request.GET
    suggested = {**request.GET.dict(), "at": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"}
    form, answer = WhyForm(request.GET if bound else None, initial=suggested), None
    if form.is_valid():
        values = form.cleaned_data
        try:
            answer = explain.explain(
                values["run_profile_id"], values["at"], actor=actor_of(request)
            )
        except OrbitError as error:
            form.add_error("run_profile_id", error.detail)
    return pages.draw(
        request, "console/why.html", title="Why did it run?", form=form, answer=answer
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _find(request: HttpRequest, name: str) -> ScheduleSummary:
    # A schedule that the user doesn't see must look like one that doesn't exist.
    change.find(name, actor=actor_of(request))
    row = listing.schedules(actor_of(request)).filter(name=name)[0]
    return listing.summarize(row, clock.now())


def _ask(
    request: HttpRequest,
    schedule: ScheduleSummary,
    form: ReasonForm,
    act: Callable[..., str],
    label: str,
    **context: Any,
) -> HttpResponse:
    at = {"invalid_cron": "cron"} if "cron" in form.fields else {}
    if pages.done(request, form, act, by_code=at):
        return redirect("admin:orbit_schedules")
    return pages.draw(
        request,
        "console/schedule.html",
        title=label,
        schedule=schedule,
        form=form,
        **context,
    )
