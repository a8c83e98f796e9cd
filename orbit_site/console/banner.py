"""The banners on every page: stops, and what is missing or down."""

import socket
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import clock, reasons, sequences
from governance.models import GovernanceSetting
from governance.namespaces import gate, pauses
from governance.states import Mode
from orbit.cycles import maintenance
from orbit.dispatch import endpoints
from orbit.models import EndpointState
from orbit.profiles import drift
from orbit.records import partitions
from orbit.retention import run as prune
from orbit.retention import sweep as retention
from telemetry import outbox
from telemetry.reconcile import run as reconcile

_LISTED = 5
_MOST_EVENTS = 10_000
_MODES = {
    Mode.HALTING: "halting: halted, and what is in flight is ending,",
    Mode.QUIET: "halted and quiet: nothing is in flight,",
    Mode.DRAINING: "draining",
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


def active(actor: Actor) -> list[Banner]:
    """Return the banners for ``actor``, the most severe first. At most twelve queries."""
    clusters = maintenance.living_clusters()
    banners = [*_paused(actor, clusters.paused_hosts), *_stopped(actor)]
    if not clusters.is_one_at_work:
        banners.append(
            Banner(
                "bad",
                "No cluster is running: cycles are accepted, but don't start. "
                "Run `manage.py cluster`.",
            )
        )
    if not endpoints.configured():
        banners.append(
            Banner(
                "part",
                "No endpoint is configured: nothing can be delivered. "
                "Set ORBIT_DISPATCH_ENDPOINTS.",
            )
        )
    if actor.namespaces is None and drift.both_changed():
        banners.append(
            Banner(
                "part",
                "The configuration files and the database were both changed: "
                "the database is used. See Config drift.",
            )
        )
    if actor.namespaces is None:
        banners += [Banner("bad", text) for text in _partition_problems()]
        banners += [
            Banner("bad", f"{name} is nearly out of numbers: see operations.md.")
            for name in sequences.nearly_used()
        ]
        banners += [
            Banner("part", text)
            for text in (*_wrong_clocks(clusters.wrong_clocks), *_waiting_events())
        ]
        banners += [*_drifting_projection(), *_late_retention()]
    down: list[EndpointState] = []
    if actor.namespaces is None:
        open_circuits = EndpointState.objects.filter(opened_at__isnull=False)
        down = list(open_circuits.order_by("opened_at")[: _LISTED + 1])
    banners += [Banner("part", _down(row)) for row in down[:_LISTED]]
    if len(down) > _LISTED:
        banners.append(Banner("part", "More endpoints are down: see Endpoints."))
    return banners


def _paused(actor: Actor, hosts: list[str]) -> list[Banner]:
    banners = []
    if gate.paused_here():
        banners.append(
            Banner(
                "bad",
                "Everything is paused by ORBIT_GLOBAL_PAUSE in this process's environment: "
                "no cycle starts or goes on.",
            )
        )
    if hosts:
        banners.append(
            Banner(
                "bad",
                f"ORBIT_GLOBAL_PAUSE pauses the clusters on {', '.join(hosts)}: "
                "unset it there and restart them.",
            )
        )
    console = pauses.read()
    if console.since is not None:
        link = (
            reverse("admin:pause") if actor.may(Scope.OPERATE) and actor.namespaces is None else ""
        )
        period = _period(console.since, console.until)
        text = f"Everything is paused {period} by {console.by}: {console.reason}"
        banners.append(Banner("bad", text, link, "End pause" if link else ""))
    return banners


def _stopped(actor: Actor) -> list[Banner]:
    in_force = Q(until__isnull=True) | Q(until__gt=Now())
    rows = GovernanceSetting.objects.filter(
        in_force, actor.filter("namespace__name"), ~Q(mode=Mode.RUNNING)
    ).select_related("namespace")
    stopped = list(rows.order_by("-halt", "-since")[: _LISTED + 1])
    banners = []
    for row in stopped[:_LISTED]:
        link = (
            reverse("admin:governance_namespace_resume", args=[row.namespace_id])
            if actor.may(Scope.OPERATE)
            else ""
        )
        by, reason = row.changed_by or "unknown", row.reason or reasons.NO_REASON
        period = _period(row.since, row.until)
        text = f"{row.namespace.name} is {_MODES[Mode(row.mode)]} {period} by {by}: {reason}"
        banners.append(Banner("part", text, link, "Resume" if link else ""))
    if len(stopped) > _LISTED:
        banners.append(Banner("part", "More namespaces are halted or draining: see Namespaces."))
    return banners


def _partition_problems() -> list[str]:
    return [
        f"{problem} Maintenance of a cluster makes partitions; see operations.md."
        for problem in partitions.problems()
    ]


def _wrong_clocks(wrong: dict[str, float]) -> list[str]:
    clock.refresh()
    hosts = {**wrong, socket.gethostname(): clock.host_ahead()}
    differences = [clock.describe_difference(host, ahead) for host, ahead in sorted(hosts.items())]
    return [f"{text} Set it; Orbit goes by the database's." for text in differences if text]


def _drifting_projection() -> list[Banner]:
    runs = reconcile.drifting_runs()
    if runs < reconcile.WARN_AFTER:
        return []
    link = reverse("admin:governance_operationrun_changelist") + f"?type__exact={reconcile.TYPE}"
    return [
        Banner(
            "part",
            f"The task projection differed from the tasks in {runs} runs of telemetry.reconcile in "
            "a row; it was repaired each time.",
            link,
            "See what differed",
        )
    ]


def _late_retention() -> list[Banner]:
    lag = retention.lag_seconds()
    if lag <= retention.LAG_TOLERATED_SECONDS:
        return []
    link = reverse("admin:governance_operationrun_changelist") + f"?type__exact={prune.TYPE}"
    return [
        Banner(
            "part",
            f"What retention should have deleted is still there, for {lag / 86_400:.0f} days. A "
            "cluster runs ops.prune every day; `manage.py prune` runs it now. See retention.md.",
            link,
            "See its runs",
        )
    ]


def _waiting_events() -> list[str]:
    backlog = outbox.backlog(most=_MOST_EVENTS)
    if not backlog.needs_a_look:
        return []
    number = f"{_MOST_EVENTS:,} or more" if backlog.count == _MOST_EVENTS else f"{backlog.count:,}"
    events = f"{number} events wait in the outbox"
    if backlog.problem is None or backlog.failing_since is None:
        return [f"{events}, the oldest for {backlog.oldest_seconds:.0f} s. See operations.md."]
    return [
        f"Telemetry's database takes no events since {backlog.failing_since:%Y-%m-%d %H:%M} UTC "
        f"({backlog.problem[:200]}). {events}; cycles go on. See operations.md."
    ]


def _period(since: datetime, until: datetime | None) -> str:
    ends = "" if until is None else f" until {timezone.localtime(until):%Y-%m-%d %H:%M:%S %Z}"
    return f"since {timezone.localtime(since):%Y-%m-%d %H:%M:%S %Z}{ends}"


def _down(state: EndpointState) -> str:
    return (
        f"{state.endpoint_key} is down since {state.opened_at:%Y-%m-%d %H:%M} UTC: "
        f"its deliveries wait. The next probe: {state.probe_at:%H:%M:%S}."
    )
