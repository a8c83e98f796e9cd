"""Schedules: the week, the list, switch, change the cron; and why something ran or didn't."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
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
from orbit.schedules.week import day_of, week

_PER_PAGE = 50


@pages.page("orbit/schedules/", "Schedules", "console/schedules.html")
def schedules(request: HttpRequest) -> pages.Answer:
    """Show the visible schedules: their week and the list."""
    query, now = request.GET, clock.now()
    rows = listing.schedules(
        actor_of(request), namespace=query.get("namespace"), part=query.get("q", "").strip()
    )
    page = BoundedPaginator(rows, _PER_PAGE).get_page(query.get("p"))
    summaries = [listing.summarize(row, now) for row in page]
    return {
        "schedules": summaries,
        "week": week(summaries, day_of(query.get("week", "")), now=now),
        "page": page,
    }


@pages.page(
    "orbit/schedules/<str:name>/switch/",
    "Switch a schedule",
    "console/schedule.html",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def switch(request: HttpRequest, name: str) -> pages.Answer:
    """Ask for the reason, and switch the schedule on or off."""
    schedule = listing.find(name, actor=actor_of(request))
    # The button that the user saw decides: a second click must not switch it back.
    on = (request.POST.get("on") or ("no" if schedule.row.on else "yes")) == "yes"

    def act(reason: str) -> str:
        changed = change.switch(name, on=on, actor=actor_of(request), reason=reason)
        return f"{name} is {'on' if on else 'off'}{'' if changed else ' already'}."

    form = ReasonForm(request.POST or None)
    return _ask(request, schedule, form, act, "Switch on" if on else "Switch off", on=on)


@pages.page(
    "orbit/schedules/<str:name>/cron/",
    "Change a cron",
    "console/schedule.html",
    scope=Scope.CONFIGURE,
    sends=Scope.CONFIGURE,
)
def cron(request: HttpRequest, name: str) -> pages.Answer:
    """Ask for the new cron and the reason, and set it."""
    schedule = listing.find(name, actor=actor_of(request))

    def act(cron: str, reason: str) -> str:
        changed = change.set_cron(name, cron=cron, actor=actor_of(request), reason=reason)
        return f"{name} has {'a new cron' if changed else 'that cron already'}."

    form = CronForm(request.POST or None, initial={"cron": schedule.row.cron})
    return _ask(request, schedule, form, act, "Change cron")


@pages.page("orbit/why/", "Why did it run?", "console/why.html")
def why_page(request: HttpRequest) -> pages.Answer:
    """Ask for a run profile and a time (default: now), and explain."""
    query = request.GET.dict()
    suggested = {**query, "at": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"}
    form, answer = WhyForm(query if "at" in query else None, initial=suggested), None
    if form.is_valid():
        try:
            answer = explain.explain(**form.cleaned_data, actor=actor_of(request))
        except OrbitError as error:
            form.add_error("run_profile_id", error.detail)
    return {"form": form, "answer": answer}


def _ask(
    request: HttpRequest,
    schedule: ScheduleSummary,
    form: ReasonForm,
    act: Callable[..., str],
    label: str,
    **context: Any,
) -> pages.Answer:
    if pages.done(request, form, act, by_code={"invalid_cron": "cron"}):
        return redirect("admin:orbit_schedules")
    return {"title": label, "schedule": schedule, "form": form, **context}
