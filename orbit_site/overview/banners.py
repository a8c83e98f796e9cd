"""The banners on every page: stops, and what is missing or down."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import reasons, sql
from governance.namespaces import gate
from governance.states import Mode
from orbit_site.overview import facts as facts_
from orbit_site.overview import problems as problems_
from orbit_site.overview import things
from orbit_site.overview.facts import Facts, listed

_LISTED = 5
_STOPS = sql.load(__name__, "stops", pause=gate.PAUSE, most=_LISTED + 1)
_WORDS: dict[str, str] = {Mode.HALTING: "halted", Mode.QUIET: "halted", Mode.DRAINING: "draining"}
_ENDINGS: dict[str, str] = {
    Mode.HALTING: " What is in flight is ending.",
    Mode.DRAINING: " Open cycles end; none starts.",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence; ``link`` and ``action`` lead to what ends it."""

    style: str
    text: str
    link: str = ""
    action: str = ""

    @property
    def icon(self) -> str:
        """The name of its icon."""
        return "halt" if self.action in {"Resume", "End pause"} else self.style


class Banners(list[Banner]):
    """The banners of a page, the most severe first."""

    @property
    def look(self) -> str:
        """What changes when one of them does."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]


def read(actor: Actor, namespace: str) -> Banners:
    """Return the banners alone, for open pages that ask every few seconds.

    Stops are read now, the rest is up to 15 s old: an open list doesn't cost a dashboard's reads.
    """
    return active(actor, facts_.read(actor, namespace, seconds=facts_.PROBLEM_SECONDS))


def active(actor: Actor, read: facts_.Read) -> Banners:
    """Return the banners for ``actor``. One query.

    Stops are read now: who halts must see it on the very next page.
    """
    facts, stored = read
    banners = [*_stops(actor), *_missing(facts)]
    banners += [
        Banner(late.state, f"{late.sentence}.", late.link, "Schedule")
        for late in things.late_schedules(facts)
    ]
    if actor.namespaces is None:
        banners += [
            Banner(problem.style, problem.text, problem.link, problem.action)
            for problem in problems_.parse(stored)
        ]
        down = list(listed(facts, "circuits"))
        now = datetime.fromisoformat(facts["now"])
        banners += [Banner("part", _down(circuit, now)) for circuit in down[:_LISTED]]
        if len(down) > _LISTED:
            banners.append(Banner("part", "More endpoints are down: see Endpoints."))
    return Banners(sorted(banners, key=lambda banner: banner.style != "bad"))


def _missing(facts: Facts) -> list[Banner]:
    banners = []
    if not facts["clusters"]["count"]:
        banners.append(
            Banner(
                "bad",
                "No cluster is running: cycles are accepted, but don't start. "
                "Run `manage.py cluster`.",
            )
        )
    if not facts_.has_endpoints(facts):
        banners.append(
            Banner(
                "part",
                "No endpoint is configured: nothing can be delivered. "
                "Set ORBIT_DISPATCH_ENDPOINTS.",
            )
        )
    return banners


def _stops(actor: Actor) -> list[Banner]:
    banners = []
    if gate.paused_here():
        banners.append(
            Banner(
                "bad",
                "Everything is paused by ORBIT_GLOBAL_PAUSE in this process's environment: "
                "no cycle starts or goes on.",
            )
        )
    scope = None if actor.namespaces is None else sorted(actor.namespaces)
    rows = _STOPS.send(scope=scope)
    stopped = [row for row in rows if row[0] is not None]
    for _, _, _, since, until, by, reason, _ in rows[: len(rows) - len(stopped)]:
        text = f"Everything is paused {_period(since, until)} by {by}: {_quoted(reason)}."
        may_end = actor.may(Scope.OPERATE) and actor.namespaces is None
        banners.append(
            Banner("bad", text, reverse("admin:pause"), "End pause")
            if may_end
            else Banner("bad", text)
        )
    for number, name, mode, since, until, by, reason, quiet_at in stopped[:_LISTED]:
        text = (
            f"{name} is {_WORDS[mode]} {_period(since, until)} by {by or 'unknown'}: "
            f"{_quoted(reason)}.{_ENDINGS.get(mode) or _quiet(quiet_at)}"
        )
        banners.append(
            Banner(
                "part", text, reverse("admin:governance_namespace_resume", args=[number]), "Resume"
            )
            if actor.may(Scope.OPERATE)
            else Banner("part", text)
        )
    if len(stopped) > _LISTED:
        banners.append(Banner("part", "More namespaces are halted or draining: see Namespaces."))
    return banners


def _period(since: datetime, until: datetime | None) -> str:
    return f"since {_moment(since)}" + ("" if until is None else f" until {_moment(until)}")


def _moment(at: datetime) -> str:
    """Return a time of day, with its date if that isn't today."""
    local = timezone.localtime(at)
    layout = "%H:%M %Z" if local.date() == timezone.localdate() else "%d %b %Y %H:%M %Z"
    return f"{local:{layout}}"


def _quoted(reason: str) -> str:
    return f"“{reason}”" if reason else reasons.NO_REASON


def _quiet(at: datetime | None) -> str:
    since = f"Quiet since {timezone.localtime(at):%H:%M:%S}; " if at else "Quiet: "
    return f" {since}nothing is in flight."


def _down(circuit: dict[str, str], now: datetime) -> str:
    since = _moment(datetime.fromisoformat(circuit["opened_at"]))
    probe = datetime.fromisoformat(circuit["probe_at"])
    # Without a delivery there is no probe: its time may be past for long.
    tried = f"The first one after {_moment(probe)}" if probe > now else "The next one"
    return (
        f"{circuit['endpoint_key']} is down since {since}: "
        f"its deliveries wait. {tried} is its probe."
    )
