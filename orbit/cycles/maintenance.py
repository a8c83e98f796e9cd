"""Keep cycles going and tables small. Two clusters at once do no harm."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from governance.alerts import retention
from governance.kernel import clock, sql
from governance.namespaces import gate
from governance.operations import slices
from orbit import queue
from orbit.cycles import lease
from orbit.dispatch import endpoints
from orbit.models import ClusterNode, OverviewFacts, SeenMark
from orbit.records.fence import ALONE_FROM
from orbit.rollup import counts

# Seconds. A cycle that has just become due has a wake-up of its own.
FORGOTTEN_AFTER = 0.3
OPERATION_FORGOTTEN_AFTER = 3.0
#: A cluster counts as gone after three missed heartbeats (one every five seconds).
SILENT_AFTER = timedelta(seconds=15)
_MOST_OPERATIONS = 100
_MOST_HOSTS = 20
_MOST_CLUSTERS = 1_000

#: What decides the same thing in all processes.
SHARED_SETTINGS = (
    "ORBIT_DISPATCH_ENDPOINTS",
    "ORBIT_DISPATCH_ALLOWED_HOSTS",
    "ORBIT_MAX_DISPATCH_RETRIES",
    "ORBIT_DISPATCH_BACKOFF_BASE",
    "ORBIT_DISPATCH_BACKOFF_CAP",
    "ORBIT_ENCRYPTION_KEYS",
    "ORBIT_CRON_SCHEDULE",
    "ORBIT_RUN_PROFILE_CRON_SCHEDULE",
    "ORBIT_TIME_ZONE",
    "ORBIT_RETENTION_DAYS",
    "ORBIT_TELEMETRY_RETENTION_DAYS",
    "ORBIT_ALERT_EMAILS",
    "ORBIT_HEARTBEAT_URL",
)

COUNT_FORGOTTEN = sql.load(
    __name__,
    "count_forgotten_cycles",
    alone_from=ALONE_FROM,
    looks=lease.LOOKS,
    gate_is_open=gate.OPEN,
    pause=gate.PAUSE,
)
NEWEST_CLUSTER = sql.load(
    __name__, "newest_cluster", silent_after_seconds=SILENT_AFTER.total_seconds()
)
LATE_OPERATIONS = sql.load(__name__, "late_operations", longest_pause=slices.LONGEST_PAUSE_SECONDS)
PRUNE_ANSWERS = sql.load(__name__, "prune_answers")
PRUNE_LOGIN_ATTEMPTS = sql.load(__name__, "prune_login_attempts")
PRUNE_REQUEST_COUNTS = sql.load(__name__, "prune_request_counts")
PRUNE_SESSIONS = sql.load(__name__, "prune_sessions")


def rescue(workers: int) -> int:
    """Wake at most ``workers`` workers for forgotten cycles; return how many."""
    # One wake-up is enough: a runner goes on while cycles are due.
    if gate.paused_here() or queue.ready_wakeups():
        return 0
    # Their wake-up was lost, or their worker is gone and its lease has run out.
    forgotten = count_late(FORGOTTEN_AFTER, most=workers)
    for _ in range(forgotten):
        queue.wake()
    return forgotten


def count_late(seconds: float, *, most: int = 1_000) -> int:
    """Count cycles that are due for so long and held by nothing; up to ``most``."""
    ((number,),) = COUNT_FORGOTTEN.send(late=seconds, most=most)
    return int(number)


def wake_operations() -> int:
    """Enqueue a task for each late operation run; return how many."""
    # Tasks wait already: more would only wait behind them.
    if queue.tasks_wait():
        return 0
    late = LATE_OPERATIONS.rows(late=OPERATION_FORGOTTEN_AFTER, most=_MOST_OPERATIONS)
    for (run_id,) in late:
        queue.wake(queue.OPERATE, str(run_id))
    return len(late)


def prune(*, limit: int = 10_000) -> dict[str, int]:
    """Delete expired rows, at most ``limit`` of each kind; return how many of each."""
    day, kept = timedelta(days=1), timedelta(days=settings.ORBIT_RETENTION_DAYS)
    silent = ClusterNode.objects.filter(seen_at__lt=Now() - day)
    # A row for each set of namespaces that a user looked at.
    overviews = OverviewFacts.objects.filter(taken_at__lt=Now() - day)
    return {
        "queue_results": queue.prune_failures(limit=limit),
        "quarantined_rows": queue.prune_quarantined(limit=limit),
        "idempotent_answers": PRUNE_ANSWERS.execute(most=limit),
        "sessions": PRUNE_SESSIONS.execute(most=limit),
        "login_attempts": PRUNE_LOGIN_ATTEMPTS.execute(most=limit),
        "request_counts": PRUNE_REQUEST_COUNTS.execute(most=limit),
        "delivery_hours": counts.prune(limit=limit),
        "overviews": overviews.delete()[0],
        "seen_marks": SeenMark.objects.filter(at__lt=Now() - kept).delete()[0],
        "clusters": silent.delete()[0],
        "alerts": retention.delete_old(settings.ORBIT_RETENTION_DAYS, limit=limit),
    }


def heartbeat(
    node: UUID, *, host: str, pid: int, release: str, workers: int, draining: bool
) -> None:
    """Write the cluster's row, by the database's clock."""
    clock.refresh()
    state = {
        "workers": workers,
        "paused": gate.paused_here(),
        "draining": draining,
        "seen_at": Now(),
        "clock_ahead_seconds": clock.host_ahead(),
        "settings_sha256": settings_hash(),
        "endpoints": len(endpoints.configured()),
    }
    row = ClusterNode(id=node, host=host[:255], pid=pid, release=release, **state)
    # One statement: another cluster may have pruned the row meanwhile.
    ClusterNode.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=list(state)
    )


def settings_hash() -> str:
    """Return a hash of this process's settings that all processes must share."""
    values = json.dumps({name: getattr(settings, name) for name in SHARED_SETTINGS}, default=str)
    # Keyed, since endpoints hold secrets: the hash is shown.
    return hmac.new(settings.SECRET_KEY.encode(), values.encode(), hashlib.sha256).hexdigest()


def deregister(node: UUID) -> None:
    """Remove the row of a drained cluster."""
    ClusterNode.objects.filter(id=node).delete()


@dataclass(frozen=True, slots=True)
class Clusters:
    """The living clusters, as banners tell of them."""

    #: Whether one is not draining.
    is_one_at_work: bool
    paused_hosts: list[str]
    #: By host, in seconds ahead of the database.
    wrong_clocks: dict[str, float]


def living_clusters() -> Clusters:
    """Return what there is to say of the living clusters, from one query; of 1,000 at most."""
    rows = list(
        ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER)
        .order_by("draining", "host")
        .values_list("host", "draining", "paused", "clock_ahead_seconds")[:_MOST_CLUSTERS]
    )
    paused = sorted({host for host, _, is_paused, _ in rows if is_paused})
    wrong = {host: ahead for host, *_, ahead in rows if abs(ahead) > clock.TOLERATED_SECONDS}
    return Clusters(
        any(not draining for _, draining, *_ in rows),
        paused[:_MOST_HOSTS],
        dict(sorted(wrong.items())[:_MOST_HOSTS]),
    )


def warn_of_other_settings(warn: Callable[[str], None]) -> None:
    """Warn if a living cluster has other settings than this process, such as other endpoints."""
    alive = ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER)
    if alive.exclude(settings_sha256__in=["", settings_hash()]).exists():
        warn(
            "Warning: this shell's settings differ from the clusters'. "
            "Run this with their environment, else it may say what isn't so for them."
        )


def cluster_is_alive() -> bool:
    """Tell whether a cluster is alive and not draining."""
    return ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER, draining=False).exists()


def is_newest_cluster(node: UUID) -> bool:
    """Tell whether ``node`` started last: its configuration counts, also after a lost row."""
    return NEWEST_CLUSTER.send() == [(node,)]


def unpaused_cluster_is_alive() -> bool:
    """Tell whether a cluster is alive, not draining and not paused."""
    return ClusterNode.objects.filter(
        seen_at__gt=Now() - SILENT_AFTER, draining=False, paused=False
    ).exists()


def paused_hosts() -> list[str]:
    """Return the hosts of living, paused clusters, at most 20."""
    return list(
        ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER, paused=True)
        .order_by("host")
        .values_list("host", flat=True)
        .distinct()[:_MOST_HOSTS]
    )


def wrong_clocks() -> list[tuple[str, float]]:
    """Return the hosts of living clusters with a wrong clock, and by how much, at most 20."""
    return list(
        ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER)
        .exclude(clock_ahead_seconds__range=(-clock.TOLERATED_SECONDS, clock.TOLERATED_SECONDS))
        .order_by("host")
        .values_list("host", "clock_ahead_seconds")
        .distinct()[:_MOST_HOSTS]
    )
