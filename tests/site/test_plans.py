"""No list and no hot statement reads a large table from end to end."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.http import Http404
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from advisory.decisions import probation_end, track_record_end
from governance.kernel import sql
from governance.kernel.identifiers import uuid7_floor
from orbit import queue
from orbit.alerts import readers as alerts
from orbit.cycles import (
    advance,
    compare,
    delivery_counts,
    halt_certificates,
    lease,
    maintenance,
    namespace_queue,
    progress,
    stops,
    waiting,
)
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.cycles.rerun import history
from orbit.dispatch import claim, error_groups
from orbit.models import OverviewFacts
from orbit.retention import cycles as old_cycles
from orbit.retention import months, sweep, ticks, unused
from orbit.rollup import counts
from orbit.schedules import week
from orbit_site import metrics
from orbit_site.overview import facts, problems
from orbit_site.processes import waiting_work
from orbit_site.processes.postgres import Server
from orbit_site.search import find
from tests.support import callers, large_database
from tests.support.crowded import database_of_its_own
from tests.support.pages_read import explained, pages_read

pytestmark = pytest.mark.slow

FEW_QUERIES = 30
# A limit that stops a scan after this share of its cost: it doesn't read the whole table.
STOPS_EARLY = 0.25


# The largest tables (forty rows a cycle, or events) have no index by namespace: inserts would pay
# for it. Their lists by namespace read until the page is full. Items have no namespace, so their
# count reads until it knows whether to show "10,000+".
READ_ON_BY_NAMESPACE = {
    "orbit.ExecutionRecord",
    "telemetry.TelemetryEvent",
    "telemetry.Artifact",
    "telemetry.Metric",
    "telemetry.PolicyViolation",
    "telemetry.ErrorGroup",
    "telemetry.TaskProjection",
}
COUNTS_READ_ON = {"orbit.NormalizationItem"}


@pytest.fixture(scope="module")
def crowded(server: Server, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The name of a full database for this module."""
    with django_db_blocker.unblock(), database_of_its_own(server, large_database.fill) as name:
        yield name


@pytest.fixture(scope="module")
def browser(crowded: str) -> Client:
    return callers.console(callers.create_user("adm", "Administrator"))


@pytest.fixture(scope="module")
def confined(crowded: str) -> Client:
    return callers.console(callers.create_user("bea", "Operator", "n7", "n8"))


def whole_reads(sql: str, values: Any = None) -> list[str]:
    """Return the large tables that the plan of ``sql`` reads entirely."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) " + sql, values)
        (document,) = cursor.fetchone()
    plans = [(json.loads(document) if isinstance(document, str) else document)[0]["Plan"]]
    scanned = []
    while plans:
        plan = plans.pop()
        if (
            plan["Node Type"] == "Limit"
            and plan["Total Cost"] < STOPS_EARLY * plan["Plans"][0]["Total Cost"]
        ):
            continue
        plans += plan.get("Plans", [])
        if plan["Node Type"] == "Seq Scan":
            name = re.sub(r"_p\d+$", "", plan["Relation Name"])
            scanned += (
                [name]
                if name in large_database.LARGE
                and plan["Plan Rows"] > 0
                and _is_large(plan["Relation Name"])
                else []
            )
    return scanned


def _is_large(table: str) -> bool:
    """Tell whether it is a table that grows; partitions of later months are empty."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples > 1000 FROM pg_class WHERE relname = %s", [table])
        return bool(cursor.fetchone()[0])


def costs(client: Client, path: str) -> tuple[int, list[str]]:
    """Return a page's number of queries, and those that read a large table entirely."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    statements = [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].startswith(("SELECT", "WITH"))
    ]
    reads = [sql for sql in statements if any(name in sql for name in large_database.LARGE)]
    return len(captured), [
        f"{sql[:300]}: {', '.join(tables)}" for sql in reads if (tables := whole_reads(sql))
    ]


CYCLE_TABS = ("timeline", "provenance", "deliveries", "records", "leases", "context")
CYCLE_FILTERS = [
    "",
    "namespace=n7",
    "status=failed",
    "status=running",
    "status=success",
    "run_profile_id=r7",
    "namespace=n7&status=failed",
    "created_from=2020-01-01T00:00:00Z",
    "created_to=2020-01-01T00:00:00Z",
]
LISTS = [
    "/cycles/recent",
    *(f"/cycles?{query}" for query in CYCLE_FILTERS),
    *(
        f"/dead-letters?{query}"
        for query in (
            "",
            "namespace=n7",
            "status=open",
            "status=dismissed",
            "endpoint_key=e3",
            "namespace=n7&status=open",
        )
    ),
    *(
        f"/strategy-proposals?{query}"
        for query in (
            "",
            "state=pending",
            "state=expired",
            "state=superseded",
            "state=rejected",
            "profile_id=p7",
            "author=a7",
            "namespace=n7",
            "state=pending&profile_id=p7",
        )
    ),
    *(
        f"/signals?{query}"
        for query in (
            "",
            "signal=low_performance",
            "signal=elevated_performance",
            "profile_id=p7",
            "namespace=n7",
            "namespace=n7&signal=low_performance",
            "computation_id=00000000-0000-0000-0000-000000000007",
            "from=2020-01-01T00:00:00Z",
            "to=2020-01-01T00:00:00Z",
        )
    ),
    "/dead-letters/groups",
    *(
        f"/operations?{query}"
        for query in ("", "type=dlq.bulk_requeue", "status=completed", "outcome=succeeded")
    ),
    *(f"/schedules/ticks?{query}" for query in ("", "schedule=run-profile:r7", "outcome=missed")),
    *(f"/audit-trail?{query}" for query in ("", "namespace=n7", "actor=u7", "object_type=cycle")),
    *(f"/value-ledger?{query}" for query in ("", "namespace=n7", "tag=t7")),
    *(
        f"/telemetry/events?{query}"
        for query in (
            "",
            "level=error",
            "session_id=s8",
            "task_id=t8",
            "run_id=00000000-0000-0000-0000-000000000007",
            "from=2020-01-01T00:00:00Z",
            "to=2020-01-01T00:00:00Z",
        )
    ),
    *(f"/telemetry/artifacts?{query}" for query in ("", "session_id=s8")),
    *(f"/telemetry/metrics?{query}" for query in ("", "name=m7", "session_id=s8")),
    *(f"/telemetry/policy-violations?{query}" for query in ("", "from=2020-01-01T00:00:00Z")),
    *(f"/telemetry/error-groups?{query}" for query in ("", "day=2020-01-01")),
    *(f"/telemetry/projection/tasks?{query}" for query in ("", "task_id=t8")),
]


def _is_there(path: str) -> bool:
    try:
        resolve(path.partition("?")[0])
    except Http404:
        return False
    return True


@pytest.mark.parametrize("path", LISTS)
def test_lists_of_the_api_go_by_an_index(browser: Client, confined: Client, path: str) -> None:
    if not _is_there(path):
        pytest.skip("no such list yet")
    for client in (browser, confined):
        number, whole = costs(client, path)
        assert (number <= FEW_QUERIES, whole) == (True, []), path
        following = client.get(path).json().get("next")
        if following:
            assert costs(client, following.partition("testserver")[2])[1] == [], following


def test_a_record_goes_by_an_index(browser: Client) -> None:
    alone = "SELECT id FROM orbit_recordgroup WHERE records IS NULL LIMIT 1"
    of_group = "SELECT orbit_record_id(id, 2) FROM orbit_recordgroup WHERE records <> '[]' LIMIT 1"
    for query in (alone, of_group):
        with connection.cursor() as cursor:
            cursor.execute(query)
            (record,) = cursor.fetchone()
        number, whole = costs(browser, f"/admin/orbit/executionrecord/{record}/change/")
        assert (number <= FEW_QUERIES, whole) == (True, [])


def test_one_cycle_goes_by_an_index(browser: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM orbit_cyclerun WHERE status = 'failed' ORDER BY id DESC LIMIT 2"
        )
        first, second = (row[0] for row in cursor.fetchall())
    for path in (
        f"/cycles/{first}",
        *(f"/admin/orbit/cyclerun/{first}/change/?tab={tab}" for tab in CYCLE_TABS),
        f"/admin/orbit/cyclerun/?older_than={first}&dead_letters=yes&status=failed",
        "/admin/orbit/cyclerun/?needs=yes",
        f"/admin/orbit/cyclerun/?newer_than={first}&run_profile_id=r7&from=2020-01-01T00:00",
        f"/admin/orbit/cyclerun/compare/?a={first}&b={second}&all=1",
        f"/admin/orbit/cyclerun/{first}/run_again/",
    ):
        number, whole = costs(browser, path)
        assert (number <= FEW_QUERIES, whole) == (True, []), path


MOST_BYTES = 300 * 1024
#: Pages that are no list of a model -> the most queries, however many namespaces a user sees.
PAGES = {
    "/admin/": 15,
    "/admin/handover/?hours=24": FEW_QUERIES,
    "/admin/handover/?hours=24&namespace=n7": FEW_QUERIES,
    "/admin/search/?q=HTTP+503": FEW_QUERIES,
    "/admin/search/?q=01a22770": FEW_QUERIES,
    "/admin/alerts/": FEW_QUERIES,
    "/admin/orbit/schedules/": FEW_QUERIES,
    "/admin/governance/namespace/": FEW_QUERIES,
    "/admin/orbit/deadletterdispatch/?namespace=n7": FEW_QUERIES,
    "/overview": 15,
    "/alerts": 15,
}


@pytest.mark.parametrize("path", PAGES)
def test_pages_of_the_console_go_by_an_index_and_are_small(
    browser: Client, confined: Client, path: str
) -> None:
    for client in (browser, confined):
        OverviewFacts.objects.all().delete()
        number, whole = costs(client, path)
        assert (number <= PAGES[path], whole) == (True, []), path
        assert len(client.get(path).content) <= MOST_BYTES


#: A statement that goes through all rows of a table that grows reads several thousand pages.
MOST_PAGES = 1_500


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/orbit/cyclerun/",
        "/admin/orbit/cyclerun/?status=failed",
        "/admin/orbit/cyclerun/?needs=yes",
        "/admin/governance/audittrailentry/",
        "/admin/orbit/deadletterdispatch/?group=all",
        "/admin/handover/?hours=24",
        "/cycles",
        "/cycles?status=failed",
        "/audit-trail",
        "/dead-letters",
        "/dead-letters?status=open",
        "/alerts",
        "/overview",
    ],
)
def test_who_sees_quiet_namespaces_waits_for_no_other(crowded: str, path: str) -> None:
    user = User.objects.filter(username="qui").first() or callers.create_user(
        "qui", "Operator", "quiet-1", "quiet-2"
    )
    OverviewFacts.objects.all().delete()
    with CaptureQueriesContext(connection) as captured:
        assert callers.console(user).get(path).status_code == 200
    statements = [query["sql"] for query in captured.captured_queries]
    reads = {
        sql[:300]: pages
        for sql in statements
        if sql.startswith(("SELECT", "WITH")) and (pages := explained(sql)) > MOST_PAGES
    }
    assert reads == {}


# The URLconf does it, if a test of another file has read it.
admin.autodiscover()
LARGE_ADMINS = sorted(
    (model for model in admin.site._registry if model._meta.db_table in large_database.LARGE),
    key=lambda model: model._meta.label,
)


@pytest.mark.parametrize("model", LARGE_ADMINS, ids=lambda model: model._meta.label)
def test_lists_of_the_console_go_by_an_index_and_take_few_queries(
    browser: Client, confined: Client, model: Any
) -> None:
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    table = admin.site._registry[model]
    request = RequestFactory().get(page)
    request.user = User.objects.get(username="adm")
    queries = [""]
    for list_filter in table.list_filter:
        name = list_filter.parameter_name
        values = (
            ["n7"]
            if name == "namespace"
            else [value for value, _ in list_filter(request, {}, model, table).lookup_choices]
            if name != "group"
            else ["0" * 16]
        )
        queries += [f"?{name}={value}" for value in values]
    for client in (browser, confined):
        if client is confined and table.namespace_path is None:
            continue
        for query in queries:
            if model._meta.label in READ_ON_BY_NAMESPACE and (
                client is confined or "namespace" in query
            ):
                continue
            number, whole = costs(client, page + query)
            if model._meta.label in COUNTS_READ_ON:
                whole = [read for read in whole if not read.startswith("SELECT COUNT(*)")]
            assert (number <= FEW_QUERIES, whole) == (True, []), page + query


@pytest.mark.parametrize(
    "term",
    [
        "01a22770-2e05-7154-a584-c22369a2024e",
        "01a22770",
        "0123456789abcdef" * 4,
        "01KB0000000000000000000000",
        "01KB0000",
        "999999999",
        "no-such-key",
    ],
)
def test_a_search_goes_by_indexes_and_takes_few_queries(
    browser: Client, confined: Client, term: str
) -> None:
    for name in ("adm", "bea"):
        actor = callers.actor_of(User.objects.get(username=name))
        with CaptureQueriesContext(connection) as captured:
            find.find(term, actor)
        assert len(captured) <= 10
        assert not [query for query in captured.captured_queries if whole_reads(query["sql"])]


def _stop(namespace: str | None) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(days=20)
    return {"namespace": namespace, "since": since, "most": stops.MOST}


def _last_week() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"since": now - timedelta(days=7), "until": now}


def _hot() -> list[tuple[str, str, dict[str, Any]]]:
    some = uuid.UUID(int=7)
    held = {"ids": [some], "tokens": [1]}
    look = {"since": datetime(1, 1, 2, tzinfo=UTC), "since_id": some}
    family = {"family": [some, uuid.UUID(int=8)]}
    items = {"run": some, "scope": None, "limit": 10}
    page = {"after": some, "only": None, "most": 100}
    return [
        ("claim", lease.CLAIM.text, {**look, "after": 0, "limit": 8, "owner": "w", "seconds": 15}),
        (
            "claim_suspected",
            lease.CLAIM_SUSPECTED.text,
            {**look, "alone": "%:alone", "owner": "w", "seconds": 15},
        ),
        ("count_suspected", lease.COUNT_SUSPECTED.text, look),
        ("claim_stopped", lease.CLAIM_STOPPED.text, {"limit": 8, "owner": "w", "seconds": 15}),
        ("waiting_namespaces", namespace_queue.WAITING.text, {"most": 2}),
        ("quiet_stops", halt_certificates.QUIET_STOPS.text, {"most": 2}),
        ("renew_leases", lease.RENEW.text, {**held, "owner": "w", "seconds": 15}),
        (
            "give_back_leases",
            lease.GIVE_BACK.text,
            {**held, "requeues": [0], "owner": "w", "wait": 1},
        ),
        ("next_due", lease.NEXT_DUE.text, {}),
        ("count_forgotten_cycles", maintenance.COUNT_FORGOTTEN.text, {"late": 1, "most": 2}),
        ("waiting_work", waiting_work.LOOK.text, {"tick": queue.TICK, "late": 1}),
        ("look_for_tasks", queue.LOOK.text, queue.LOOKED_FOR),
        ("late_operations", maintenance.LATE_OPERATIONS.text, {"late": 1, "most": 2}),
        ("count_resume", advance.COUNT_RESUME.text, {"id": some, "token": 1}),
        ("read_jobs", progress.READ_JOBS.text, {"cycle": some}),
        ("read_tiers", progress.READ_TIERS.text, {"cycle": some}),
        ("read_outputs", progress.READ_OUTPUTS.text, {"cycle": some, "tiers": [1]}),
        (
            "claim.CLAIM",
            claim.CLAIM.text,
            {**held, "limit": 8, "full": [], "receipts": [some], "worker": "w"},
        ),
        ("claim.LOCK_LIMITS", claim.LOCK_LIMITS.text, {"cycle": some}),
        ("claim.COUNT_ATTEMPTS", claim.COUNT_ATTEMPTS.text, {"cycle": some, "states": [some]}),
        (
            "claim.WAKE_WAITING_CYCLES",
            claim.WAKE_WAITING_CYCLES.text,
            {"state": some, "most": claim.WAKE_BATCH},
        ),
        (
            "error_groups.GROUP",
            error_groups.GROUP_ERRORS.text,
            {
                "scope": None,
                "status": "open",
                "namespace": None,
                "endpoint_key": None,
                "counted": 100,
                "hours": error_groups.HOURS,
                "limit": 50,
                "offset": 0,
            },
        ),
        ("count_deliveries", delivery_counts.COUNT_DELIVERIES.text, {"cycles": [some]}),
        (
            "open_work",
            waiting.OPEN_WORK.text,
            {"cycles": [some], "moment": datetime.now(UTC)},
        ),
        ("queued_before", namespace_queue.QUEUED_BEFORE.text, {"cycles": [some], "most": 2}),
        ("rerun.family", history.FAMILY.text, {"id": some}),
        ("rerun.successful_tiers", history.SUCCESSFUL_TIERS.text, family),
        ("rerun.deliveries", history.DELIVERIES.text, family),
        ("rerun.lock_letters", history.LOCK_LETTERS.text, family),
        ("rerun.is_valued", history.IS_VALUED.text, family),
        ("next_reruns", rerun_bulk.NEXT_RERUNS.text, items),
        ("count_errors", compare.COUNT_ERRORS.text, {"cycles": [some, some], "most": 10}),
        ("metrics.cycles_by_status", metrics.CYCLES_BY_STATUS.text, {}),
        ("metrics.lease_losses", metrics.LEASE_LOSSES, {}),
        ("metrics.jobs_by_status", metrics.JOBS_BY_STATUS.text, {}),
        ("metrics.due_cycles", metrics.DUE_CYCLES.text, {}),
        ("metrics.conductor_work", metrics.CONDUCTOR_WORK.text, {"most": 9}),
        ("metrics.stage_durations", metrics.STAGE_DURATIONS.text, {"buckets": [0.0, 1.0]}),
        ("metrics.cycle_durations", metrics.CYCLE_DURATIONS.text, {"buckets": [0.0, 1.0]}),
        ("metrics.delivery_latency", metrics.DELIVERY_LATENCY.text, {"buckets": [0.0, 1.0]}),
        (
            "alerts.schedules_not_started",
            alerts.SCHEDULES_NOT_STARTED.text,
            {"since": some, "late": 120, "most": 9},
        ),
        ("alerts.open_letters", alerts.OPEN_LETTERS.text, {"per_endpoint": 100, "most": 9}),
        (
            "search.letters_with_error",
            find.LETTERS_WITH_ERROR.text,
            {"term": "%503%", "scope": None, "scanned": 100, "most": 9},
        ),
        ("overview.facts", facts.FACTS.text, {"scope": None, "own": ""}),
        ("overview.facts of a namespace", facts.FACTS.text, {"scope": ["n7"], "own": "@"}),
        ("overview.facts of a quiet one", facts.FACTS.text, {"scope": ["quiet"], "own": "@"}),
        (
            "overview.problems",
            problems.PROBLEMS.text,
            {"share": 0.9, "most": 10_000, "days": 90},
        ),
        (
            "rollup.advance",
            counts.ADVANCE.text,
            {"written": datetime.now(UTC), "locked": ["receipts", "letters", "cycles"]},
        ),
        ("rollup.per_hour", counts.PER_HOUR.text, {"scope": ["n7"]}),
        ("rollup.per_day", counts.PER_DAY.text, {"scope": ["n7"]}),
        ("namespace_cards", stops.NAMESPACE_CARDS.text, {"names": ["n7", "n8"], "most": 9}),
        ("stop_progress", stops.STOP_PROGRESS.text, {"namespace": "n7"}),
        ("stop_progress of all", stops.STOP_PROGRESS.text, {"namespace": None}),
        ("resume_preview", stops.RESUME_PREVIEW.text, _stop("n7")),
        ("resume_preview of all", stops.RESUME_PREVIEW.text, _stop(None)),
        (
            "week_ticks",
            week.WEEK_TICKS.text,
            {"names": ["cycles", "run-profile:r7"], **_last_week(), "most": week.MOST_PAST},
        ),
        *(
            (name, sql.REGISTRY[name].text, values)
            for name, values in {
                "orbit.cycles.usual_durations": {"run_profiles": ["r7"], "recent": 9},
                "orbit.cycles.attempts_of_cycle": {"cycle": some, "most": 9},
                "orbit.schedules.runs_of_profiles": {"keys": ["k7"], "run_profiles": ["r7"]},
                "orbit.dispatch.job_family": {"job": some, "most": 9},
                "orbit.dispatch.preview_letters": {"ids": [some], "scope": ["n7"]},
                "orbit.dispatch.sample_attempts": {"per_hour": 9},
                "orbit.dispatch.open_jobs_by_endpoint": {"most": 9},
                "orbit.dispatch.last_errors": {"key": "e7", "looked_at": 9, "limit": 9},
            }.items()
        ),
        ("probations_over", probation_end.OVER.text, page),
        ("track_records_due", track_record_end.DUE.text, {**page, "days": 30}),
        ("cycles_after", track_record_end.AFTER.text, {"proposal": some}),
        (
            "cycles_before",
            track_record_end.BEFORE.text,
            {"proposal": some, "first_id": some, "last_id": some, "most": 100},
        ),
    ]


@pytest.mark.parametrize(("name", "sql", "values"), _hot(), ids=[name for name, _, _ in _hot()])
def test_hot_statements_go_by_an_index(
    crowded: str, name: str, sql: str, values: dict[str, Any]
) -> None:
    assert whole_reads(sql, values) == []


def test_a_resume_reads_no_ticks_of_other_namespaces(crowded: str) -> None:
    # Its own schedule has 500 pages of them.
    assert pages_read(stops.RESUME_PREVIEW, **_stop("n7")) < 1_000


def test_a_pause_reads_one_receipt(crowded: str) -> None:
    assert pages_read(stops.STOP_PROGRESS, namespace=None) < 300


def test_a_plan_that_reads_a_whole_table_is_seen(crowded: str) -> None:
    assert whole_reads("SELECT count(*) FROM orbit_cyclerun WHERE reason <> ''") == [
        "orbit_cyclerun"
    ]
    assert whole_reads("SELECT * FROM orbit_executionrecord WHERE message = 'x'") == [
        "orbit_recordgroup"
    ]


# A batch of retention deletes ten families here. The cycles have more pages than this.
MOST_PAGES_OF_RETENTION = 3_000


def _retention() -> dict[str, tuple[Any, dict[str, Any]]]:
    """The statements of a prune of what is older than twenty days, which a fifth is not."""
    until = datetime.now(UTC) - timedelta(days=20)
    zero = uuid.UUID(int=0)
    batch = {"until": until, "after_at": "-infinity", "after_id": zero}
    exempt: dict[str, Any] = {"profiles": [], "namespaces": [], "froms": [], "tos": []}
    hashes = ["1" * 64]
    left = {"before": uuid7_floor(until), "initiation": zero, "snapshot": zero, "limit": 1000}
    return {
        "prune_cycles": (old_cycles.PRUNE_CYCLES, {**batch, "limit": 10, **exempt}),
        "next_old_cycle": (old_cycles.NEXT_OLD_CYCLE, batch),
        "lock_unused": (
            unused.LOCK_UNUSED,
            {"hashes": hashes, "initiations": [zero], "snapshots": [zero]},
        ),
        "next_old_unused": (
            unused.NEXT_OLD_UNUSED,
            {**left, "configured": [], "counted": [zero], "uses": [1]},
        ),
        "prune_ticks": (ticks.PRUNE_TICKS, {**batch, "limit": 10}),
        "prune_notices": (ticks.PRUNE_NOTICES, {"until": until, "after": "", "limit": 10}),
        "old_months": (months.OLD_MONTHS, {"until": until, "counted": [], "numbers": []}),
        "retention_lag": (sweep.RETENTION_LAG, {"days": 20}),
    }


@pytest.mark.parametrize("name", _retention())
def test_a_batch_of_retention_reads_no_more_than_it_deletes(crowded: str, name: str) -> None:
    statement, values = _retention()[name]
    assert pages_read(statement, **values) < MOST_PAGES_OF_RETENTION


def test_a_prune_looks_for_users_of_what_it_deletes_by_an_index(crowded: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT array_agg(id) FROM orbit_initiation),"
            " (SELECT array_agg(id) FROM orbit_endpointsnapshot)"
        )
        initiations, snapshots = cursor.fetchone()
    values = {"initiations": initiations, "snapshots": snapshots, "configured": []}
    assert pages_read(unused.PRUNE_UNUSED, **values) < MOST_PAGES_OF_RETENTION
