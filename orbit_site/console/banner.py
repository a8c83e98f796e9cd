"""What stands above every page while it is true: everything is paused, a namespace is halted, nobody works, an endpoint is down."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.models import GovernanceSetting
from governance.namespaces import gate, pauses
from governance.states import Mode
from orbit.cycles import maintenance
from orbit.dispatch import endpoints
from orbit.models import EndpointState
from orbit.profiles import drift

_NAMED = 5
_MODES = {
    Mode.HALTING: "halting: halted, and what is in flight is ending,",
    Mode.QUIET: "halted and quiet: nothing is in flight,",
    Mode.DRAINING: "draining",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence; ``look`` is its class. ``link`` is where whoever may ends what it tells, ``deed`` what that is called."""

    look: str
    text: str
    link: str = ""
    deed: str = ""


def standing(actor: Actor) -> list[Banner]:
    """Return the banners for ``actor``, the most severe first. Seven queries at most, and two more where configuration files and database go apart."""
    found = [*_paused(actor), *_stopped(actor)]
    if not maintenance.cluster_is_alive():
        found.append(
            Banner(
                "bad",
                "No cluster is running: cycles are accepted, but nothing works on them. Start `manage.py cluster`.",
            )
        )
    if not endpoints.configured():
        found.append(
            Banner(
                "part",
                "No endpoint is configured: nothing can be delivered. Set ORBIT_DISPATCH_ENDPOINTS.",
            )
        )
    if actor.namespaces is None and drift.both_changed():
        found.append(
            Banner(
                "part",
                "The configuration files and the database were both changed: the database stands. See Config drift.",
            )
        )
    down = (
        list(
            EndpointState.objects.filter(opened_at__isnull=False).order_by("opened_at")[
                : _NAMED + 1
            ]
        )
        if actor.namespaces is None
        else []
    )
    found += [Banner("part", _down(row)) for row in down[:_NAMED]]
    if len(down) > _NAMED:
        found.append(Banner("part", "More endpoints are down: see Endpoint states."))
    return found


def _paused(actor: Actor) -> list[Banner]:
    found = []
    if gate.paused_here():
        found.append(
            Banner(
                "bad",
                "Everything is paused by ORBIT_GLOBAL_PAUSE in this process's environment: nothing starts and nothing goes on.",
            )
        )
    hosts = maintenance.paused_hosts()
    if hosts:
        found.append(
            Banner(
                "bad",
                f"ORBIT_GLOBAL_PAUSE pauses the clusters on {', '.join(hosts)}: unset it there and restart them.",
            )
        )
    console = pauses.read()
    if console.since is not None:
        way = (
            reverse("admin:pause") if actor.may(Scope.OPERATE) and actor.namespaces is None else ""
        )
        text = f"Everything is paused {_since(console.since, console.until)} by {console.by}: {console.reason}"
        found.append(Banner("bad", text, way, "End pause" if way else ""))
    return found


def _stopped(actor: Actor) -> list[Banner]:
    stands = Q(until__isnull=True) | Q(until__gt=Now())
    rows = GovernanceSetting.objects.filter(
        stands, actor.filter("namespace__name"), ~Q(mode=Mode.RUNNING)
    ).select_related("namespace")
    stopped = list(rows.order_by("-halt", "-since")[: _NAMED + 1])
    found = []
    for row in stopped[:_NAMED]:
        way = (
            reverse("admin:governance_namespace_resume", args=[row.namespace_id])
            if actor.may(Scope.OPERATE)
            else ""
        )
        by, why = row.changed_by or "nobody named", row.reason or "none given"
        text = f"{row.namespace.name} is {_MODES[Mode(row.mode)]} {_since(row.since, row.until)} by {by}: {why}"
        found.append(Banner("part", text, way, "Resume" if way else ""))
    if len(stopped) > _NAMED:
        found.append(Banner("part", "More namespaces are halted or draining: see Namespaces."))
    return found


def _since(since: datetime, until: datetime | None) -> str:
    ends = "" if until is None else f" until {timezone.localtime(until):%Y-%m-%d %H:%M:%S %Z}"
    return f"since {timezone.localtime(since):%Y-%m-%d %H:%M:%S %Z}{ends}"


def _down(state: EndpointState) -> str:
    return f"{state.endpoint_key} is down since {state.opened_at:%Y-%m-%d %H:%M} UTC: its deliveries wait. The next probe: {state.probe_at:%H:%M:%S}."
