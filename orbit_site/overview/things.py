"""What needs a user: each thing with its numbers, since when, and where to act."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from django.utils import timezone

from advisory.models import StrategyProposal
from advisory.proposals.waiting import Waiting
from governance.access.actors import Actor
from governance.kernel import reasons
from governance.namespaces import gate
from orbit.schedules import rows
from orbit_site.overview import facts as facts_
from orbit_site.overview.facts import Facts, listed
from orbit_site.overview.problems import Problem

_ADMIN = "/admin/"
#: Pages of other tiles and things.
LINKS = {
    "health": f"{_ADMIN}health/",
    "endpoints": f"{_ADMIN}orbit/endpoints/",
    "alerts": f"{_ADMIN}alerts/",
}
_MODES = {"halting": "halted", "quiet": "halted", "draining": "draining"}
_ORDER = {"bad": 0, "part": 1, "wait": 2}


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that needs a user. ``text`` goes on from ``title``."""

    kind: str
    #: "bad", "part" or "wait".
    state: str
    #: The words of its mark.
    label: str
    title: str
    text: str
    link: str
    since: datetime | None = None
    #: Of what the text counts, such as dead letters.
    count: int = 1
    #: Things that one line stands for.
    things: int = 1

    @property
    def sentence(self) -> str:
        """The whole text."""
        return f"{self.title}{self.text}"


def of(facts: Facts, problems: Sequence[Problem], waiting: Waiting, *, actor: Actor) -> list[Thing]:
    """Return the things that need ``actor``, the most severe first."""
    things = [
        *_stops(facts),
        *_cluster(facts, actor),
        *_problems(problems, actor),
        *_endpoints(facts, actor),
        *late_schedules(facts),
        *_dead_letters(facts),
        *_cycles(facts),
        *_operations(facts),
        *_alerts(facts),
        *_approvals(waiting),
    ]
    return sorted(things, key=lambda thing: _ORDER[thing.state])


def at(moment: datetime, now: datetime) -> str:
    """Return a time with its zone; with the date unless it's of today."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localtime(now).date()
    return f"{local:%H:%M %Z}" if today else f"{local:%d %b %H:%M %Z}"


def time(text: str | None) -> datetime | None:
    """Return a time of the facts."""
    return datetime.fromisoformat(text) if text else None


def number(count: int) -> str:
    """Return a count, such as "312" or "10,000+"."""
    return f"{count:,}" if count < facts_.COUNTED else f"{facts_.COUNTED - 1:,}+"


def _stops(facts: Facts) -> Iterator[Thing]:
    now, pause = datetime.fromisoformat(facts["now"]), facts["pause"]
    if gate.paused_here():
        text = " by ORBIT_GLOBAL_PAUSE: no cycle starts or goes on"
        yield Thing("pause", "bad", "Paused", "Everything is paused", text, f"{_ADMIN}pause/")
    if pause is not None:
        since = datetime.fromisoformat(pause["since"])
        reason = pause["reason"] or reasons.NO_REASON
        text = f" since {at(since, now)} by {pause['by']}: {reason}"
        yield Thing(
            "pause", "bad", "Paused", "Everything is paused", text, f"{_ADMIN}pause/", since
        )
    for stop in listed(facts, "stops"):
        since, mode = datetime.fromisoformat(stop["since"]), _MODES[stop["mode"]]
        by, reason = stop["changed_by"] or "unknown", stop["reason"] or reasons.NO_REASON
        yield Thing(
            "halt",
            "part",
            mode.capitalize(),
            stop["namespace"],
            f" is {mode} since {at(since, now)} by {by}: {reason}",
            f"{_ADMIN}governance/namespace/{stop['id']}/change/",
            since,
        )


def _cluster(facts: Facts, actor: Actor) -> Iterator[Thing]:
    if not facts["clusters"]["count"]:
        text = ": cycles are accepted, but don't start. Run `manage.py cluster`"
        # Pages of the whole workspace are closed to confined users.
        link = LINKS["health"] if actor.namespaces is None else f"{_ADMIN}orbit/cyclerun/"
        yield Thing("cluster", "bad", "Cluster", "No cluster is running", text, link)


def _problems(problems: Sequence[Problem], actor: Actor) -> Iterator[Thing]:
    if actor.namespaces is not None:
        return
    for problem in problems:
        link = problem.link or LINKS["health"]
        label = problem.kind.capitalize()
        yield Thing(problem.kind, problem.style, label, "", problem.text.rstrip("."), link)


def _endpoints(facts: Facts, actor: Actor) -> Iterator[Thing]:
    link = LINKS["endpoints"] if actor.namespaces is None else f"{_ADMIN}orbit/dispatchjob/"
    if not facts_.has_endpoints(facts):
        text = ": nothing can be delivered. Set ORBIT_DISPATCH_ENDPOINTS"
        yield Thing("endpoint", "part", "Endpoints", "No endpoint is configured", text, link)
    if actor.namespaces is not None:
        return
    now = datetime.fromisoformat(facts["now"])
    for circuit in listed(facts, "circuits"):
        since = datetime.fromisoformat(circuit["opened_at"])
        error = f" ({_line(circuit['error'])})" if circuit["error"] else ""
        yield Thing(
            "endpoint",
            "part",
            "Endpoint",
            circuit["endpoint_key"],
            f" is down since {at(since, now)}{error}: its deliveries wait",
            f"{link}{quote(circuit['endpoint_key'], safe='')}/",
            since,
        )


def late_schedules(facts: Facts) -> Iterator[Thing]:
    """Yield that runs are due and don't start."""
    late = facts["overdue"]
    if late["count"]:
        since = datetime.fromisoformat(late["since"])
        name = late["name"].removeprefix(rows.OF_RUN_PROFILE)
        more = f" and {late['count'] - 1:,} more" if late["count"] > 1 else ""
        due = at(since, datetime.fromisoformat(facts["now"]))
        yield Thing(
            "scheduler",
            "bad",
            "Scheduler",
            "The scheduler is late",
            f": {name}{more} should have run at {due}",
            f"{_ADMIN}orbit/schedules/",
            since,
            late["count"],
        )


def _dead_letters(facts: Facts) -> Iterator[Thing]:
    now = datetime.fromisoformat(facts["now"])
    groups = [group for group in listed(facts, "groups") if not group["seen"]]
    link = f"{_ADMIN}orbit/deadletterdispatch/"
    for group in groups[: facts_.MOST_THINGS]:
        since = datetime.fromisoformat(group["first_at"])
        are = "delivery is" if group["count"] == 1 else "deliveries are"
        growing = "; still growing" if group["growing"] else ""
        yield Thing(
            "dead_letters",
            "bad",
            "Dead letters",
            f"{number(group['count'])} {are} dead",
            f" at {group['endpoint_key']}: {_answer(group)}, since {at(since, now)}{growing}",
            f"{link}?group={quote(group['key'])}",
            since,
            group["count"],
        )
    yield from _more("dead_letters", "bad", "Dead letters", "group", len(groups), link)


def _answer(group: dict[str, Any]) -> str:
    with suppress(ValueError):
        return f"{group['status_code']} {HTTPStatus(group['status_code'] or 0).phrase}"
    return _line(group["error"]) or group["reason"].replace("_", " ")


def _cycles(facts: Facts) -> Iterator[Thing]:
    link = f"{_ADMIN}orbit/cyclerun/"
    for cycle in listed(facts, "unresolved_cycles"):
        failed = cycle["status"] == "failed"
        yield Thing(
            "cycle",
            "bad" if failed else "part",
            "Failed" if failed else "Partial",
            cycle["run_profile_id"] or cycle["profile_id"] or cycle["namespace"],
            _fate(cycle),
            f"{link}{cycle['id']}/change/",
            time(cycle["finished_at"]),
        )
    yield from _more("cycle", "part", "Cycles", "cycle", facts["unresolved"], f"{link}?needs=yes")


def _fate(cycle: dict[str, Any]) -> str:
    parts = []
    if cycle["tier"]:
        tries = "1 try" if cycle["tries"] == 1 else f"{cycle['tries']} tries"
        error = _line(cycle["error"]) or "no reason given"
        parts.append(f"lost tier {cycle['tier']}: {error} after {tries}")
    elif cycle["status"] == "failed":
        parts.append(f"failed: {_line(cycle['reason'])}" if cycle["reason"] else "failed")
    after = "" if parts or not cycle["total"] else ":"
    if cycle["total"]:
        parts.append(f"{cycle['delivered']} of {cycle['total']} deliveries arrived")
    return f"{after} {'; '.join(parts) or 'succeeded in part'}"


def _operations(facts: Facts) -> Iterator[Thing]:
    now = datetime.fromisoformat(facts["now"])
    for run in listed(facts, "failed_operations"):
        ended = datetime.fromisoformat(run["finished_at"])
        how = "failed" if run["outcome"] == "failed" else "succeeded in part"
        yield Thing(
            "operation",
            "bad" if run["outcome"] == "failed" else "part",
            "Operation",
            run["type"],
            f" {how} at {at(ended, now)}",
            f"{_ADMIN}governance/operationrun/{run['id']}/change/",
            ended,
        )


def _alerts(facts: Facts) -> Iterator[Thing]:
    for alert in listed(facts, "other_alerts"):
        since = datetime.fromisoformat(alert["first_seen_at"])
        summary = alert["summary"].rstrip(".")
        link = alert["link"] or LINKS["alerts"]
        yield Thing("alert", "bad", "Alert", "", summary, link, since)


def _approvals(waiting: Waiting) -> Iterator[Thing]:
    link = f"{_ADMIN}advisory/strategyproposal/"
    for proposal in waiting.first:
        yield Thing(
            "approval",
            "wait",
            "Approval",
            proposal.title,
            f" waits for you{_expiry(proposal)}",
            f"{link}{proposal.pk}/change/",
            proposal.created_at,
        )
    yield from _more(
        "approval", "wait", "Approvals", "proposal", waiting.count, f"{link}?state=mine"
    )


def _expiry(proposal: StrategyProposal) -> str:
    if proposal.expires_at is None:
        return ""
    return f"; expires {timezone.localtime(proposal.expires_at):%d %b %H:%M %Z}"


def _more(kind: str, state: str, label: str, noun: str, count: int, link: str) -> Iterator[Thing]:
    more = count - facts_.MOST_THINGS
    if more > 0:
        need = f" more {noun} needs you" if more == 1 else f" more {noun}s need you"
        yield Thing(kind, state, label, f"{number(more)}", need, link, count=more, things=more)


def _line(text: str | None) -> str:
    line = (text or "").strip().split("\n", 1)[0].rstrip(".")
    return line if len(line) <= 120 else f"{line[:117]}..."
