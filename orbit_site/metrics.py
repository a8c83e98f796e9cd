"""``/metrics``: the state of the whole installation, read from the database at each scrape, so that every machine tells one truth."""

import hmac
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.http import HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.namespaces import gate
from governance.rest import schemas
from governance.rest.authentication import SessionAuthentication, TokenAuthentication
from governance.rest.resources import OneForm, Resource, operation
from orbit.states import CYCLE, JOB, LETTER

#: A scrape that takes longer is broken off: measuring must not be what makes a database slow.
SCRAPE_SECONDS = 10
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Whatever isn't a success, or delivered, is rare and in a partial index; those are what is left of all, which the key's index counts.
CYCLES = """WITH rare AS (
    SELECT status, count(*) AS number FROM orbit_cyclerun WHERE status IN ('queued', 'partial_success', 'failed', 'cancelled') GROUP BY status
    UNION ALL SELECT status, count(*) FROM orbit_cyclerun WHERE status IN ('pending', 'running') GROUP BY status)
SELECT status, number FROM rare
UNION ALL SELECT 'success', (SELECT count(*) FROM orbit_cyclerun) - (SELECT coalesce(sum(number), 0) FROM rare)::bigint"""
RESUMES = "SELECT coalesce(sum(resumes), 0) FROM orbit_cyclerun WHERE resumes > 0"
JOBS = """WITH rare AS (
    SELECT status, count(*) AS number FROM orbit_dispatchjob WHERE status IN ('dead', 'cancelled') GROUP BY status
    UNION ALL SELECT status, count(*) FROM orbit_dispatchjob WHERE status IN ('pending', 'sending') GROUP BY status)
SELECT status, number FROM rare
UNION ALL SELECT 'delivered', (SELECT count(*) FROM orbit_dispatchjob) - (SELECT coalesce(sum(number), 0) FROM rare)::bigint"""
LETTERS = "SELECT status, count(*) FROM orbit_deadletterdispatch GROUP BY status"
DUE = "SELECT count(*), coalesce(extract(epoch FROM now() - min(next_due_at)), 0) FROM orbit_cyclerun WHERE next_due_at <= now()"
QUEUE = "SELECT count(*), coalesce(extract(epoch FROM now() - min(lock)), 0) FROM django_q_ormq WHERE lock <= now()"
CIRCUITS = "SELECT endpoint_key, max((opened_at IS NOT NULL)::int) FROM orbit_endpointstate GROUP BY 1 ORDER BY 1 LIMIT 1000"
HALTS = "SELECT count(*) FROM governance_governancesetting WHERE halt AND (until IS NULL OR until > now())"
CLUSTERS = "SELECT count(*) FROM orbit_clusternode WHERE seen_at > now() - interval '15 s'"
# Of the newest only: the whole history would be read at each scrape.
DELIVERIES = """SELECT 'all', width_bucket(latency_ms / 1000, %(buckets)s::float8[]) AS bucket, count(*), sum(latency_ms / 1000)
FROM (SELECT latency_ms FROM orbit_deliveryreceipt ORDER BY id DESC LIMIT 5000) AS newest WHERE latency_ms IS NOT NULL GROUP BY 2"""
STAGES = """WITH newest AS MATERIALIZED (SELECT id FROM orbit_cyclerun ORDER BY id DESC LIMIT 1000),
ended AS (SELECT r.stage, (r.data ->> 'duration_ms')::float8 / 1000 AS seconds FROM newest JOIN orbit_executionrecord r ON r.partition_key = newest.id
    WHERE r.event = 'stage_finished' AND r.data ? 'duration_ms')
SELECT stage, width_bucket(seconds, %(buckets)s::float8[]) AS bucket, count(*), sum(seconds) FROM ended GROUP BY 1, 2"""
DURATIONS = """SELECT 'all', width_bucket(seconds, %(buckets)s::float8[]) AS bucket, count(*), sum(seconds)
FROM (SELECT extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM orbit_cyclerun ORDER BY id DESC LIMIT 1000) AS newest
WHERE seconds IS NOT NULL GROUP BY 2"""


class DatabaseCollector(Collector):
    """Reads each metric from the database when asked."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true)", [f"{SCRAPE_SECONDS}s"]
            )
            yield from _collect(cursor)


def _collect(cursor: Any) -> Iterator[Metric]:
    def rows(sql: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor.execute(sql, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    yield _by_status("orbit_cycles", "Cycles by status.", CYCLE.states, dict(rows(CYCLES)))
    yield _by_status("orbit_dispatch_jobs", "Dispatch jobs by state.", JOB.states, dict(rows(JOBS)))
    yield _by_status(
        "orbit_dead_letters",
        "Dead letters by state; open ones wait for a person.",
        LETTER.states,
        dict(rows(LETTERS)),
    )
    yield GaugeMetricFamily(
        "orbit_lease_losses",
        "Leases that ran out under a worker, over the cycles that are kept.",
        float(rows(RESUMES)[0][0]),
    )
    depth, age = rows(DUE)[0]
    yield GaugeMetricFamily(
        "orbit_cycles_due", "Cycles that are due and that no worker has looked at yet.", depth
    )
    yield GaugeMetricFamily(
        "orbit_cycles_due_age_seconds", "How long the oldest of them is due.", float(age)
    )
    depth, age = rows(QUEUE)[0]
    yield GaugeMetricFamily("orbit_queue_depth", "Queue tasks that are ready.", depth)
    yield GaugeMetricFamily(
        "orbit_queue_age_seconds", "How long the oldest of them is ready.", float(age)
    )
    yield GaugeMetricFamily(
        "orbit_halted_namespaces", "Namespaces that are halted.", rows(HALTS)[0][0]
    )
    paused = int(gate.everything_paused() is not None)
    yield GaugeMetricFamily(
        "orbit_paused",
        "1 while everything is paused, by this web process's environment or by a person.",
        paused,
    )
    yield GaugeMetricFamily(
        "orbit_clusters", "Clusters that show signs of life.", rows(CLUSTERS)[0][0]
    )
    yield _by_endpoint(
        "orbit_endpoint_down",
        "1 while the circuit of an endpoint is open: its deliveries wait.",
        dict(rows(CIRCUITS)),
    )
    limits = {"buckets": [0.0, *BUCKETS]}
    yield _histogram(
        "orbit_stage_duration_seconds",
        "How long the stages of the newest 1,000 cycles took.",
        "stage",
        rows(STAGES, limits),
    )
    yield _histogram(
        "orbit_cycle_duration_seconds",
        "From trigger to end, the newest 1,000 cycles.",
        None,
        rows(DURATIONS, limits),
    )
    yield _histogram(
        "orbit_delivery_latency_seconds",
        "How long receivers took to answer, the newest 5,000 attempts.",
        None,
        rows(DELIVERIES, limits),
    )


def _by_status(name: str, text: str, states: Any, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["status"])
    for state in states:
        family.add_metric([str(state)], counts.get(str(state), 0))
    return family


def _by_endpoint(name: str, text: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["endpoint_key"])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _histogram(name: str, text: str, label: str | None, rows: list[tuple[Any, ...]]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    names = sorted({row[0] for row in rows}) if label else ["all"]
    for value in names:
        # width_bucket counts from one; a value that equals a limit falls into the next one, which a float hardly ever does.
        counts = [0] * (len(BUCKETS) + 1)
        total = 0.0
        for _, bucket, count, seconds in (row for row in rows if row[0] == value):
            counts[min(max(bucket - 1, 0), len(BUCKETS))] += count
            total += seconds
        bounds = [*(repr(limit) for limit in BUCKETS), "+Inf"]
        cumulated = [(bound, float(sum(counts[: place + 1]))) for place, bound in enumerate(bounds)]
        family.add_metric([value] if label else [], cumulated, total)
    return family


class ScrapeToken(BaseAuthentication):
    """The token of ``ORBIT_METRICS_TOKEN``: it reads this page and nothing else."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Actor] | None:
        """Accept the scrape token; leave every other one to the API's own authentication."""
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
        """Return the ``WWW-Authenticate`` header of a 401."""
        return "Bearer"


class Metrics(Resource):
    """``/metrics``."""

    authentication_classes = [ScrapeToken, TokenAuthentication, SessionAuthentication]
    # Scrapers ask for several text formats; they get the one that all of them read.
    content_negotiation_class = OneForm

    @operation(summary="Get metrics", answers={200: schemas.PLAIN_TEXT})
    def get(self, request: Request) -> HttpResponse:
        """In Prometheus' text format. They cover all namespaces, so confined callers are refused."""
        self.actor.require_workspace()
        registry = CollectorRegistry()
        registry.register(DatabaseCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
