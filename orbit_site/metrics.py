"""``/metrics``: the state of the installation, the same on every machine."""

import hmac
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.http import HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import sql
from governance.namespaces import gate
from governance.rest import schemas
from governance.rest.authentication import SessionAuthentication, TokenAuthentication
from governance.rest.resources import OneForm, Resource, operation
from orbit.retention import sweep as retention
from orbit.states import CYCLE, JOB, LETTER
from telemetry import outbox

#: A scrape that takes longer is cancelled: monitoring must not slow the database down.
SCRAPE_SECONDS = 10
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CYCLES_BY_STATUS = sql.load(__name__, "cycles_by_status")
JOBS_BY_STATUS = sql.load(__name__, "jobs_by_status")
DUE_CYCLES = sql.load(__name__, "due_cycles")
READY_TASKS = sql.load(__name__, "ready_tasks")
STAGE_DURATIONS = sql.load(__name__, "stage_durations")
CYCLE_DURATIONS = sql.load(__name__, "cycle_durations")
DELIVERY_LATENCY = sql.load(__name__, "delivery_latency")
CONDUCTOR_WORK = sql.load(__name__, "conductor_work")
#: Runs and tasks of the conductor are counted so far.
MOST_TASKS = 100_000

LETTERS_BY_STATUS = "SELECT status, count(*) FROM orbit_deadletterdispatch GROUP BY status"
LEASE_LOSSES = "SELECT coalesce(sum(resumes), 0) FROM orbit_cyclerun WHERE resumes > 0"
HALTED_NAMESPACES = (
    "SELECT count(*) FROM governance_governancesetting "
    "WHERE halt AND (until IS NULL OR until > now())"
)
LIVE_CLUSTERS = "SELECT count(*) FROM orbit_clusternode WHERE seen_at > now() - interval '15 s'"
OPEN_ALERTS = "SELECT count(*) FROM governance_alert WHERE resolved_at IS NULL"
OPEN_CIRCUITS = (
    "SELECT endpoint_key, max((opened_at IS NOT NULL)::int) FROM orbit_endpointstate "
    "GROUP BY 1 ORDER BY 1 LIMIT 1000"
)


class DatabaseCollector(Collector):
    """Reads the metrics from the database at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, all of one transaction."""
        with transaction.atomic():
            _rows(f"SELECT set_config('statement_timeout', '{SCRAPE_SECONDS}s', true)")
            yield from _status_metrics()
            yield from _work_metrics()
            yield from _conductor_metrics()
            yield from _stop_metrics()
            yield from _retention_metrics()
            yield from _outbox_metrics()
            yield from _duration_metrics()


def _status_metrics() -> Iterator[Metric]:
    yield _by_status("orbit_cycles", "Cycles by status.", CYCLE.states, CYCLES_BY_STATUS.rows())
    yield _by_status(
        "orbit_dispatch_jobs", "Dispatch jobs by state.", JOB.states, JOBS_BY_STATUS.rows()
    )
    yield _by_status(
        "orbit_dead_letters",
        "Dead letters by state; open ones need a decision.",
        LETTER.states,
        _rows(LETTERS_BY_STATUS),
    )


def _work_metrics() -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "orbit_lease_losses",
        "Leases that expired under a worker without progress since, of all cycles that are kept.",
        float(_rows(LEASE_LOSSES)[0][0]),
    )
    [(count, age)] = DUE_CYCLES.rows()
    yield GaugeMetricFamily("orbit_cycles_due", "Cycles that are due and not claimed.", count)
    yield GaugeMetricFamily(
        "orbit_cycles_due_age_seconds", "How long the oldest of them has been due.", float(age)
    )
    [(count, age)] = READY_TASKS.rows()
    yield GaugeMetricFamily("orbit_queue_depth", "Queue tasks that are ready.", count)
    yield GaugeMetricFamily(
        "orbit_queue_age_seconds", "How long the oldest of them has been ready.", float(age)
    )
    yield GaugeMetricFamily(
        "orbit_clusters", "Clusters that are alive.", _rows(LIVE_CLUSTERS)[0][0]
    )


def _conductor_metrics() -> Iterator[Metric]:
    [(runs, ready, held)] = CONDUCTOR_WORK.rows(most=MOST_TASKS)
    bound = f"counting stops at {MOST_TASKS:,}."
    yield GaugeMetricFamily(
        "orbit_conductor_runs_open", f"Runs of the conductor that have not ended; {bound}", runs
    )
    yield GaugeMetricFamily(
        "orbit_conductor_tasks_ready", f"Conductor tasks that may be claimed; {bound}", ready
    )
    yield GaugeMetricFamily(
        "orbit_conductor_tasks_held", f"Conductor tasks that a worker holds; {bound}", held
    )


def _stop_metrics() -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "orbit_halted_namespaces", "Namespaces that are halted.", _rows(HALTED_NAMESPACES)[0][0]
    )
    yield GaugeMetricFamily(
        "orbit_paused",
        "1 while everything is paused, by this web process's environment or by a user.",
        int(gate.everything_paused() is not None),
    )
    yield GaugeMetricFamily(
        "orbit_alerts_open", "Alerts that are not resolved.", _rows(OPEN_ALERTS)[0][0]
    )
    circuits = GaugeMetricFamily(
        "orbit_endpoint_down",
        "1 while the circuit of an endpoint is open: its deliveries wait.",
        labels=["endpoint_key"],
    )
    for endpoint_key, is_open in _rows(OPEN_CIRCUITS):
        circuits.add_metric([endpoint_key], is_open)
    yield circuits


def _retention_metrics() -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "retention_lag_seconds",
        "For how long something has been due for deletion that no prune has looked at.",
        retention.lag_seconds(),
    )


def _outbox_metrics() -> Iterator[Metric]:
    backlog = outbox.backlog()
    yield GaugeMetricFamily(
        "orbit_telemetry_outbox_events",
        f"Events that wait for telemetry's database; counting stops at {outbox.MOST:,}.",
        backlog.count,
    )
    yield GaugeMetricFamily(
        "orbit_telemetry_outbox_age_seconds",
        "How long the oldest of them has waited.",
        backlog.oldest_seconds,
    )
    yield CounterMetricFamily(
        "orbit_telemetry_outbox_forwarded", "Events that were forwarded.", backlog.forwarded
    )
    yield CounterMetricFamily(
        "orbit_telemetry_outbox_refused",
        "Events that telemetry's database refused; see telemetry_refusedevent.",
        backlog.refused,
    )
    yield GaugeMetricFamily(
        "orbit_telemetry_database_down",
        "1 while telemetry's database takes no events.",
        int(backlog.problem is not None),
    )


def _duration_metrics() -> Iterator[Metric]:
    buckets = [0.0, *BUCKETS]
    yield _histogram(
        "orbit_stage_duration_seconds",
        "Durations of the stages of the newest 1,000 cycles.",
        "stage",
        STAGE_DURATIONS.rows(buckets=buckets),
    )
    yield _histogram(
        "orbit_cycle_duration_seconds",
        "From trigger to end, of the newest 1,000 cycles.",
        None,
        CYCLE_DURATIONS.rows(buckets=buckets),
    )
    yield _histogram(
        "orbit_delivery_latency_seconds",
        "How long receivers took to answer the newest 5,000 attempts.",
        None,
        DELIVERY_LATENCY.rows(buckets=buckets),
    )


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _by_status(
    name: str, text: str, states: Iterable[object], rows: list[tuple[Any, ...]]
) -> Metric:
    counts = dict(rows)
    # Every state gets a sample: a series that appears late breaks rates and alerts.
    family = GaugeMetricFamily(name, text, labels=["status"])
    for state in states:
        family.add_metric([str(state)], counts.get(str(state), 0))
    return family


def _histogram(name: str, text: str, label: str | None, rows: list[tuple[Any, ...]]) -> Metric:
    """Return a histogram of rows (label, bucket, count, sum of seconds)."""
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    for value in sorted({row[0] for row in rows}) if label else ["all"]:
        # width_bucket counts from 1, and puts a value that equals a bound into the next bucket.
        counts = [0] * (len(BUCKETS) + 1)
        total = 0.0
        for _, bucket, count, seconds in (row for row in rows if row[0] == value):
            counts[min(max(bucket - 1, 0), len(BUCKETS))] += count
            total += seconds
        bounds = [*(repr(limit) for limit in BUCKETS), "+Inf"]
        cumulated = [(bound, float(sum(counts[: i + 1]))) for i, bound in enumerate(bounds)]
        family.add_metric([value] if label else [], cumulated, total)
    return family


class ScrapeToken(BaseAuthentication):
    """Accepts ``ORBIT_METRICS_TOKEN``, which reads only this page."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Actor] | None:
        """Accept the scrape token; leave others to the API's authentication."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        expected: str = settings.ORBIT_METRICS_TOKEN
        if (
            scheme.lower() != "bearer"
            or not expected
            or not hmac.compare_digest(token.strip().encode(), expected.encode())
        ):
            return None
        return AnonymousUser(), Actor(
            name="metrics", user_id=None, scopes=frozenset({Scope.READ}), namespaces=None
        )

    def authenticate_header(self, request: Request) -> str:
        """Return the header of a 401."""
        return "Bearer"


class Metrics(Resource):
    """``/metrics``."""

    authentication_classes = [ScrapeToken, TokenAuthentication, SessionAuthentication]
    # Scrapers accept several text formats; they get the one that all of them read.
    content_negotiation_class = OneForm

    @operation(summary="Get metrics", answers={200: schemas.PLAIN_TEXT})
    def get(self, request: Request) -> HttpResponse:
        """In Prometheus' text format. They cover all namespaces; confined callers are refused."""
        self.actor.require_workspace()
        registry = CollectorRegistry()
        registry.register(DatabaseCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
