"""The state of the system, line by line: what it is, since when, and what to do."""

import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import django
from django.conf import settings
from django.db import DatabaseError, transaction

from governance.alerts import notifications
from governance.audit import head
from governance.kernel import clock, sequences, sql
from governance.models import AlertWatch
from orbit.cycles import maintenance
from orbit.models import ClusterNode
from orbit.records import partitions
from orbit.retention import sweep
from orbit_site import __version__, health, metrics
from telemetry import outbox
from telemetry.reconcile import run as reconcile

DATABASE_FACTS = sql.load(__name__, "database_facts")
SLOWEST_STATEMENTS = sql.load(__name__, "slowest_statements")

PASS, WARN, FAIL = "pass", "warn", "fail"
LATE_EVALUATION = timedelta(minutes=3)
LATE_QUEUE_SECONDS, LONG_WAIT_SECONDS, LONG_TRANSACTION_SECONDS = 60.0, 10.0, 300.0
FEW_SESSIONS, FULL_DISK = 0.9, 0.9
_GB = 1024**3
_MOST_CLUSTERS = 50
_STATES = {health.OK: PASS, health.DEGRADED: WARN, health.FAILED: FAIL}
_CHECKS = {
    "database": ("Answers", "See operations.md, The database doesn't answer."),
    "writable": ("Takes writes", "It is read-only, or nearly out of numbers: see operations.md."),
    "migrations": ("Migrations are applied", "Run `manage.py migrate`, or `make upgrade`."),
    "config": ("Configuration is loaded", "Run `manage.py config reload`; see Drift."),
    "telemetry": (
        "Telemetry's database takes events",
        "See operations.md, Telemetry's own database.",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is well, or not. ``advice`` is for one that is not."""

    name: str
    state: str
    detail: str
    advice: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A slow statement; times in milliseconds."""

    text: str
    calls: int
    mean: float
    total: float


@dataclass(frozen=True, slots=True)
class System:
    """The lines by what they are about, and the database's slowest statements (None: unknown)."""

    groups: dict[str, list[Line]]
    slowest: list[Statement] | None

    @property
    def wrong(self) -> list[Line]:
        """The lines that need a look, the worst first."""
        lines = [line for lines in self.groups.values() for line in lines if line.state != PASS]
        return sorted(lines, key=lambda line: line.state != FAIL)

    @property
    def well(self) -> dict[str, list[Line]]:
        """The others, by what they are about."""
        groups = {
            name: [line for line in lines if line.state == PASS]
            for name, lines in self.groups.items()
        }
        return {name: lines for name, lines in groups.items() if lines}


def read() -> System:
    """Return the state of the whole system, in at most fifteen queries."""
    watch = AlertWatch.objects.filter(id=1).first()
    database, has_statistics = _database()
    groups = {
        "Clusters": list(_clusters()),
        "Queue": list(_queue(watch)),
        "Database": [*_ready(), *database, *_tables()],
        "Alerts": list(_alerts(watch)),
        "This web server": list(_host()),
    }
    return System(groups, _slowest() if has_statistics else None)


def _clusters() -> Iterator[Line]:
    alive = ClusterNode.objects.filter(seen_at__gt=clock.now() - maintenance.SILENT_AFTER)
    nodes = list(alive.order_by("host", "id")[:_MOST_CLUSTERS])
    if not any(not node.draining for node in nodes):
        yield Line("Clusters", FAIL, "No cluster is running.", "Start one: `manage.py cluster`.")
    own = maintenance.settings_hash()
    for node in nodes:
        problems = {
            "It drains.": node.draining,
            "ORBIT_GLOBAL_PAUSE pauses it: unset it there and restart.": node.paused,
            "Its settings differ from this web server's: restart what has the old ones.": (
                node.settings_sha256 != own
            ),
            "Its release differs from this web server's.": node.release != __version__,
            clock.describe_difference(node.host, node.clock_ahead_seconds): (
                abs(node.clock_ahead_seconds) > clock.TOLERATED_SECONDS
            ),
        }
        advice = " ".join(text for text, is_so in problems.items() if is_so)
        beat = (clock.now() - node.seen_at).total_seconds()
        detail = (
            f"{node.workers} workers, release {node.release}, heartbeat {max(0, beat):.0f} s ago, "
            f"clock {node.clock_ahead_seconds:+.1f} s, settings {node.settings_sha256[:8] or '?'}"
        )
        name = f"{node.host}, process {node.pid}"
        yield Line(name, WARN if advice else PASS, detail, advice, node.started_at)


def _queue(watch: AlertWatch | None) -> Iterator[Line]:
    at = watch.evaluated_at if watch else None
    is_late = at is None or clock.now() - at > LATE_EVALUATION
    yield Line(
        "Heartbeat through the queue",
        WARN if is_late else PASS,
        "Alerts were evaluated by a worker." if at else "Nothing went through the queue yet.",
        "A minute's work did not come through: look at Operations, and for busy workers.",
        at,
    )
    [(count, age)] = metrics.READY_TASKS.rows()
    advice = "Workers are too few or too busy: see operations.md, Long backlogs."
    yield Line(
        "Tasks",
        WARN if float(age) > LATE_QUEUE_SECONDS else PASS,
        f"{count:,} wait" + (f", the oldest for {float(age):.0f} s" if count else ""),
        advice,
    )
    # Without those that a halt or a pause holds.
    late = maintenance.count_late(LATE_QUEUE_SECONDS)
    detail = f"{late:,} are due for more than a minute" if late else "none is late"
    yield Line("Due cycles", WARN if late else PASS, detail, advice)


def _ready() -> Iterator[Line]:
    checks = health.probe.results()
    for name, (label, advice) in _CHECKS.items():
        if name in checks:
            result = checks[name]
            yield Line(label, _STATES[result], "yes" if result == health.OK else result, advice)


def _database() -> tuple[list[Line], bool]:
    [(version, size, sessions, most, waiting, longest_wait, oldest, has_statistics)] = (
        DATABASE_FACTS.rows()
    )
    lines = [
        Line("PostgreSQL", PASS, f"{version}, {size / _GB:.2f} GiB"),
        Line(
            "Sessions",
            WARN if sessions > most * FEW_SESSIONS else PASS,
            f"{sessions} of {most}",
            "Raise max_connections, or run fewer processes.",
        ),
        Line(
            "Locks",
            WARN if longest_wait > LONG_WAIT_SECONDS else PASS,
            f"{waiting} sessions wait" + (f", up to {longest_wait:.0f} s" if waiting else ""),
            "Find who holds them: pg_blocking_pids().",
        ),
        Line(
            "Oldest transaction",
            WARN if oldest > LONG_TRANSACTION_SECONDS else PASS,
            f"{oldest:.0f} s",
            "A long transaction keeps dead rows: end it.",
        ),
    ]
    return lines, bool(has_statistics)


def _tables() -> Iterator[Line]:
    problems = partitions.problems()
    yield Line(
        "Partitions",
        WARN if problems else PASS,
        " ".join(problems) or "made ahead",
        "See operations.md, Partitions and clocks.",
    )
    used = sequences.nearly_used()
    yield Line("Numbers", FAIL if used else PASS, ", ".join(used) or "enough", "See operations.md.")
    lag = sweep.lag_seconds()
    yield Line(
        "Retention",
        WARN if lag > sweep.LAG_TOLERATED_SECONDS else PASS,
        f"{lag / 86_400:.0f} days behind" if lag > 0 else "up to date",
        "Run `manage.py prune`; see retention.md.",
    )
    backlog = outbox.backlog(most=1_000)
    yield Line(
        "Outbox of events",
        WARN if backlog.needs_a_look else PASS,
        backlog.problem or f"{backlog.count:,} wait",
        "See operations.md, Telemetry's own database.",
        backlog.failing_since,
    )
    yield _task_projection()


def _task_projection() -> Line:
    detail = "no reconcile has run yet"
    for at, tasks in reconcile.drift_history(1):
        detail = f"{tasks:,} tasks had drifted at the last reconcile, {at:%d %b %H:%M} UTC"
    return Line(
        "Task projection",
        WARN if reconcile.drifting_runs() >= reconcile.WARN_AFTER else PASS,
        detail,
        "See Telemetry, Projection.",
    )


def _alerts(watch: AlertWatch | None) -> Iterator[Line]:
    failed = notifications.failed().count()
    yield Line(
        "Messages about alerts",
        FAIL if failed else PASS,
        f"{failed} could not be sent" if failed else "all sent",
        "See Alerts for the errors.",
    )
    if settings.ORBIT_HEARTBEAT_URL:
        yield Line(
            "Ping of the outside monitor",
            WARN if watch is None or watch.ping_error or not watch.pinged_at else PASS,
            (watch.ping_error if watch else "") or "sent once a minute",
            "See that ORBIT_HEARTBEAT_URL can be reached from the clusters.",
            watch.ping_succeeded_at if watch else None,
        )
    sequence = head.current().sequence
    done = watch.audit_number if watch else 0
    detail = f"{sequence:,} entries; " + (
        f"this round of verification is at {done:,}" if done else "the last round was intact"
    )
    yield Line("Audit trail", PASS, detail)


def _host() -> Iterator[Line]:
    host, ahead = socket.gethostname(), clock.host_ahead()
    wrong = clock.describe_difference(host, ahead)
    yield Line(
        f"Clock of {host}",
        WARN if wrong else PASS,
        f"{ahead:+.1f} s to the database's",
        f"{wrong} Set it.",
    )
    disk = shutil.disk_usage(settings.BASE_DIR)
    share = disk.used / disk.total
    yield Line(
        "Disk",
        WARN if share > FULL_DISK else PASS,
        f"{disk.free / _GB:.1f} of {disk.total / _GB:.1f} GiB free",
        "Free some: logs, backups, and an embedded database are on it.",
    )
    versions = f"Orbit {__version__}, Python {platform.python_version()}"
    yield Line("Versions", PASS, f"{versions}, Django {django.get_version()}")
    count = len(settings.ORBIT_ENCRYPTION_KEYS)
    note = "" if count == 1 else ": the first seals, the others only open"
    yield Line("Encryption keys", PASS, f"{count}{note}")


def _slowest() -> list[Statement] | None:
    try:
        with transaction.atomic():
            return [Statement(*row) for row in SLOWEST_STATEMENTS.rows()]
    except DatabaseError:
        return None  # the extension is there, but not for this role
