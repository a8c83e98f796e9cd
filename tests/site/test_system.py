"""The page of the system's health."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.models import AlertWatch
from governance.operations import ledger
from governance.states import Outcome
from orbit.cycles import maintenance
from orbit.models import ClusterNode
from orbit_site import __version__, system
from telemetry.reconcile import run as reconcile
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db


def beat(**values: Any) -> None:
    node = uuid7()
    maintenance.heartbeat(node, host="w-7", pid=7, release=__version__, workers=2, draining=False)
    ClusterNode.objects.filter(pk=node).update(**values)


def wrong() -> dict[str, str]:
    return {line.name: line.advice for line in system.read().wrong}


def test_what_is_well_is_not_among_what_needs_a_look() -> None:
    beat(paused=False)
    AlertWatch.objects.create(id=1, evaluated_at=Now())
    names = set(wrong())
    assert not names & {"w-7, process 7", "Clusters", "Heartbeat through the queue", "Tasks"}


def test_no_cluster_and_no_evaluation_need_a_look() -> None:
    assert {"Clusters", "Heartbeat through the queue"} <= set(wrong())
    beat(paused=False)
    AlertWatch.objects.create(id=1, evaluated_at=Now() - timedelta(minutes=4))
    assert "Clusters" not in wrong()
    assert "Heartbeat through the queue" in wrong()


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"draining": True}, "drains"),
        ({"paused": True}, "ORBIT_GLOBAL_PAUSE"),
        ({"settings_sha256": "0" * 64}, "settings differ"),
        ({"release": "0.0.1"}, "release differs"),
        ({"clock_ahead_seconds": 90.0}, "90 seconds ahead"),
    ],
)
def test_a_cluster_that_is_not_like_the_others_needs_a_look(
    values: dict[str, Any], advice: str
) -> None:
    beat(**values)
    assert advice in wrong()["w-7, process 7"]


def test_settings_that_differ_have_other_hashes_and_the_hash_shows_no_secret(
    settings: Any,
) -> None:
    before = maintenance.settings_hash()
    settings.ORBIT_DISPATCH_ENDPOINTS = '[{"token": "a"}]'
    after = maintenance.settings_hash()
    assert before != after
    settings.SECRET_KEY = "another key of this installation"
    assert maintenance.settings_hash() != after


def test_a_ping_that_fails_needs_a_look(settings: Any) -> None:
    settings.ORBIT_HEARTBEAT_URL = "https://example.com/x"
    AlertWatch.objects.create(id=1, pinged_at=Now(), ping_error="HTTP 503")
    assert "Ping of the outside monitor" in wrong()


def test_the_page_shows_every_line_with_a_bounded_number_of_queries() -> None:
    browser = console(create_user())
    browser.get("/admin/health/")
    with CaptureQueriesContext(connection) as queries:
        page = browser.get("/admin/health/").content.decode()
    assert len(queries) <= 30
    for name in ("PostgreSQL", "Migrations are applied", "Disk", "Versions", "Locks", "Partitions"):
        assert f">{name}<" in page, name


def test_a_confined_user_has_no_page_of_the_system() -> None:
    browser = console(create_user("eve", "Administrator", "a"))
    assert browser.get("/admin/health/").status_code == 403


def test_a_slow_statement_with_a_password_is_not_shown() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE pg_stat_statements ON COMMIT DROP AS SELECT q AS query, 10 AS calls,"
            " 9.0::float8 AS mean_exec_time, 90.0::float8 AS total_exec_time,"
            " (SELECT oid FROM pg_database WHERE datname = current_database()) AS dbid"
            " FROM unnest(ARRAY['ALTER ROLE orbit PASSWORD ''hunter2''', 'SELECT $1']) AS q"
        )
    assert [row[0] for row in system.SLOWEST_STATEMENTS.rows()] == ["SELECT $1"]


def test_a_projection_that_drifts_again_and_again_needs_a_look() -> None:
    assert "Task projection" not in wrong()
    for number in (1, 2):
        run = reconcile.start(SYSTEM, reason="a test")
        progress = {"phase": "done", "total": 3, "drifting_runs": number}
        ledger.complete(run, Outcome.SUCCEEDED, {}, progress=progress)
    assert "Task projection" in wrong()
    (line,) = [line for line in system.read().wrong if line.name == "Task projection"]
    assert line.detail.startswith("3 tasks had drifted at the last reconcile, ")
