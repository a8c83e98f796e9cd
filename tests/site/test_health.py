"""/health and /ready."""

import socket
import time
from contextlib import closing
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.kernel.identifiers import uuid7
from orbit.models import AppliedFiles, ClusterNode, OverviewFacts
from orbit.records import partitions
from orbit_site import health
from orbit_site.processes.postgres import Server
from tests.support import old_rows, project
from tests.support.callers import console, create_user
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.silent_proxy import SilentProxy


@pytest.fixture
def fresh(committed: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(health, "probe", health.Probe())
    return Client(raise_request_exception=False)


@pytest.mark.django_db
def test_health_asks_the_database_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = Client().get("/health")
    assert (answer.status_code, answer.json(), len(queries)) == (200, {"status": "ok"}, 0)


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_another_method_is_a_405_that_names_the_allowed_ones(
    path: str,
) -> None:
    answer = Client(enforce_csrf_checks=True).post(path)
    assert (answer.status_code, answer.headers["Allow"], answer.json()["code"]) == (
        405,
        "GET, HEAD",
        "method_not_allowed",
    )


def test_ready_requires_a_loaded_configuration_and_on_request_a_cluster(fresh: Client) -> None:
    answer = fresh.get("/ready")
    assert (answer.status_code, answer.json()) == (
        503,
        {
            "status": "not_ready",
            "checks": {
                "database": "ok",
                "writable": "ok",
                "migrations": "ok",
                "config": "failed",
                "partitions": "ok",
                "clock": "ok",
                "retention": "ok",
                "cluster": "failed",
            },
        },
    )
    AppliedFiles.objects.update(sha256="0" * 64)
    assert fresh.get("/ready").status_code == 200
    assert fresh.get("/ready?cluster=1").status_code == 503
    node = ClusterNode.objects.create(id=uuid7(), host="h", pid=1, release="0", workers=1)
    assert fresh.get("/ready?cluster=1").json()["checks"]["cluster"] == "ok"
    ClusterNode.objects.filter(pk=node.pk).update(seen_at=Now() - health.maintenance.SILENT_AFTER)
    assert fresh.get("/ready?cluster=1").status_code == 503


def test_a_lost_migration_is_noticed_and_so_is_its_return(
    fresh: Client, committed: str, server: Server
) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    assert fresh.get("/ready").status_code == 200
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        lost = owner.execute(
            "DELETE FROM django_migrations WHERE app = 'telemetry' RETURNING app, name"
        ).fetchall()
        assert fresh.get("/ready").json()["checks"]["migrations"] == "failed"
        owner.cursor().executemany(
            "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, now())", lost
        )
    assert fresh.get("/ready").status_code == 200


def test_ready_is_a_503_without_the_database_and_recovers(fresh: Client, settings: Any) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    place = connections.settings["default"]
    host = place["HOST"]
    place["HOST"] = "/nonexistent"
    try:
        answer = fresh.get("/ready")
        assert (answer.status_code, set(answer.json()["checks"].values())) == (503, {"failed"})
    finally:
        place["HOST"] = host
    assert fresh.get("/ready").status_code == 200


def test_a_hanging_database_times_out_and_is_queried_once(
    fresh: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.2)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE orbit_appliedfiles IN ACCESS EXCLUSIVE MODE")
        try:
            assert [fresh.get("/ready").status_code for _ in range(2)] == [503, 503]
        finally:
            cursor.execute("ROLLBACK")
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 60)
    AppliedFiles.objects.update(sha256="0" * 64)
    until(lambda: fresh.get("/ready").status_code == 200)


def test_a_check_whose_connection_falls_silent_is_given_up(
    fresh: Client, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(health, "GIVEN_UP_SECONDS", 1)
    place = connections.settings["default"]
    with project.open_folder() as folder, closing(SilentProxy(folder, server.host)) as proxy:
        monkeypatch.setitem(place, "HOST", str(folder))
        check = health._database
        monkeypatch.setattr(health, "_database", lambda: (check(), proxy.silence())[0])
        assert fresh.get("/ready").status_code == 503
        monkeypatch.setattr(health, "_database", check)
        # Without the end of that check, all later requests would wait for it.
        until(lambda: fresh.get("/ready").status_code == 200)


@pytest.mark.django_db
def test_a_503_of_ready_is_not_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/ready?cluster=1").status_code == 503
    assert caplog.records == []


def test_partitions_that_are_missing_are_told_and_refuse_only_without_a_default(
    fresh: Client, server: Server, committed: str
) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        day = "SELECT 'telemetry_telemetryevent_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
        owner.execute(f"DROP TABLE {owner.execute(day).fetchone()[0]}")
        answer = fresh.get("/ready")
        assert (answer.status_code, answer.json()["checks"]["partitions"]) == (200, "degraded")
        owner.execute("DROP TABLE telemetry_telemetryevent_default")
        answer = fresh.get("/ready")
        assert (answer.status_code, answer.json()["checks"]["partitions"]) == (503, "failed")
    partitions.ensure()
    assert fresh.get("/ready").json()["checks"]["partitions"] == "ok"


def test_a_default_with_rows_and_wrong_clocks_show_in_ready_and_in_a_banner(
    fresh: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    browser, confined = (
        console(create_user("ann")),
        console(create_user("bob", "Operator", "eu")),
    )
    assert fresh.get("/ready").json()["checks"]["clock"] == "ok"
    node = uuid7()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - 70 * 86400)
    health.maintenance.heartbeat(node, host="w-7", pid=7, release="1", workers=2, draining=False)
    monkeypatch.setattr(time, "time", right)
    rows(
        "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
        " VALUES (gen_random_uuid(), '2019-01-02Z', 'e') RETURNING 1"
    )
    answer = fresh.get("/ready")
    assert answer.status_code == 200
    assert {answer.json()["checks"][name] for name in ("partitions", "clock")} == {"degraded"}
    banners = browser.get("/admin/banners/").content.decode()
    assert "The clock of w-7 is 70 days behind the database" in banners
    assert "telemetry_telemetryevent_default holds rows" in banners
    assert "w-7" not in confined.get("/admin/banners/").content.decode()
    monkeypatch.setattr(time, "time", lambda: right() + 400 * 86400)
    OverviewFacts.objects.all().delete()  # all pages share what was read within 15 s
    assert f"The clock of {socket.gethostname()} is 400 days ahead" in (
        browser.get("/admin/banners/").content.decode()
    )


def test_a_prune_that_is_late_shows_in_ready_and_in_a_banner(fresh: Client) -> None:
    AppliedFiles.objects.update(sha256="0" * 64)
    browser = console(create_user("ann"))
    confined = console(create_user("bob", "Operator", "eu"))
    assert fresh.get("/ready").json()["checks"]["retention"] == "ok"
    old_rows.old_run(days=99)
    answer = fresh.get("/ready")
    assert (answer.status_code, answer.json()["checks"]["retention"]) == (200, "degraded")
    text = "What retention should have deleted is still there, for 9 days"
    assert text in browser.get("/admin/banners/").content.decode()
    assert text not in confined.get("/admin/banners/").content.decode()
    old_rows.prune()
    assert fresh.get("/ready").json()["checks"]["retention"] == "ok"
