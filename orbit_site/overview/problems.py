"""What is wrong with the installation itself; it changes rarely and concerns the workspace."""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from governance.alerts.conditions import Condition
from governance.kernel import clock, partition_upkeep, sequences, sql
from governance.kernel.partition_upkeep import TableState
from orbit.profiles import drift
from orbit.records import partitions
from orbit.retention import run as prune
from orbit.retention import sweep as retention
from telemetry import database, outbox
from telemetry import partitions as event_partitions
from telemetry.outbox import Backlog
from telemetry.reconcile import run as reconcile

MOST_EVENTS = 10_000
OPERATIONS = "/admin/governance/operationrun/?type__exact="


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about what is wrong; ``link`` and ``action`` lead to what ends it."""

    kind: str
    style: str  # bad or part
    text: str
    link: str = ""
    action: str = ""


def _part(statement: sql.Statement) -> sql.Fragment:
    return sql.Fragment(statement.text, params=statement.params)


PROBLEMS = sql.load(
    __name__,
    "problems",
    sequences=_part(sequences.USED_SEQUENCES),
    partitions=_part(partitions.STATES),
    outbox=_part(outbox.BACKLOG),
    retention_lag=_part(retention.RETENTION_LAG),
    reconcile=reconcile.TYPE,
    tolerated=clock.TOLERATED_SECONDS,
    audit_broken=Condition.AUDIT_BROKEN.value,
)


def read() -> list[dict[str, Any]]:
    """Return the problems, as JSON. Three queries at most."""
    row = PROBLEMS.one(share=sequences.NEARLY, most=MOST_EVENTS, days=settings.ORBIT_RETENTION_DAYS)
    assert row is not None  # noqa: S101 - one row, always
    return [asdict(problem) for problem in _problems(json.loads(row[0]))]


def parse(stored: list[dict[str, Any]]) -> list[Problem]:
    """Return what ``read`` returned, as objects."""
    return [Problem(**problem) for problem in stored]


def _problems(facts: dict[str, Any]) -> Iterator[Problem]:
    hosts = facts["paused_hosts"]
    if hosts:
        yield Problem(
            "pause",
            "bad",
            f"ORBIT_GLOBAL_PAUSE pauses the clusters on {', '.join(hosts[:20])}: "
            "unset it there and restart them.",
        )
    if facts["audit"]:
        text = f"Audit verification failed: {facts['audit']}"
        link = "/admin/governance/audittrailentry/verify/"
        yield Problem("audit", "bad", text, link, "Verify the chain")
    if drift.both_changed(facts["applied"]):
        yield Problem(
            "drift",
            "part",
            "The configuration files and the database were both changed: the database is used.",
            "/admin/config/drift/",
            "Config drift",
        )
    tables = [TableState(*state) for state in facts["partitions"] or []]
    # What a second database lacks stops no cycle.
    tables += [] if database.IS_SEPARATE else event_partitions.states()
    for problem in partition_upkeep.problems(tables):
        text = f"{problem} Maintenance of a cluster makes partitions; see operations.md."
        yield Problem("partitions", "bad", text)
    for name in facts["sequences"] or []:
        text = f"{name} is nearly out of numbers: see operations.md."
        yield Problem("sequences", "bad", text)
    yield from _wrong_clocks(facts["clocks"] or {})
    yield from _waiting_events(facts["outbox"])
    yield from _late_upkeep(facts["drifting_runs"] or 0, facts["lag"] or 0.0)


def _wrong_clocks(wrong: dict[str, float]) -> Iterator[Problem]:
    clock.refresh()
    hosts = {**wrong, socket.gethostname(): clock.host_ahead()}
    for host, ahead in sorted(hosts.items())[:20]:
        text = clock.describe_difference(host, ahead)
        if text:
            yield Problem("clock", "part", f"{text} Set it; Orbit goes by the database's.")


def _waiting_events(row: list[Any]) -> Iterator[Problem]:
    count, oldest, forwarded, refused, since, problem = row
    failing_since = datetime.fromisoformat(since) if since else None
    backlog = Backlog(count, oldest, forwarded, refused, failing_since, problem)
    if not backlog.needs_a_look:
        return
    number = f"{MOST_EVENTS:,} or more" if backlog.count == MOST_EVENTS else f"{backlog.count:,}"
    events = f"{number} events wait in the outbox"
    if backlog.problem is None or backlog.failing_since is None:
        oldest = f"{backlog.oldest_seconds:.0f} s"
        yield Problem("outbox", "part", f"{events}, the oldest for {oldest}. See operations.md.")
        return
    yield Problem(
        "outbox",
        "part",
        f"Telemetry's database takes no events since {backlog.failing_since:%Y-%m-%d %H:%M} UTC "
        f"({backlog.problem[:200]}). {events}; cycles go on. See operations.md.",
    )


def _late_upkeep(drifting_runs: int, lag: float) -> Iterator[Problem]:
    if drifting_runs >= reconcile.WARN_AFTER:
        yield Problem(
            "projection",
            "part",
            f"The task projection differed from the tasks in {drifting_runs} runs of "
            "telemetry.reconcile in a row; it was repaired each time.",
            OPERATIONS + reconcile.TYPE,
            "See what differed",
        )
    if lag > retention.LAG_TOLERATED_SECONDS:
        yield Problem(
            "retention",
            "part",
            f"What retention should have deleted is still there, for {lag / 86_400:.0f} days. A "
            "cluster runs ops.prune every day; `manage.py prune` runs it now. See retention.md.",
            OPERATIONS + prune.TYPE,
            "See its runs",
        )
