"""The audit trail over REST."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import audit
from governance.api import audit as audit_api
from governance.audit import verify
from governance.audit.actions import Action
from governance.models import AuditHead, AuditTrailEntry
from tests.support.callers import Api, api, create_user, problem
from tests.support.pages_read import explained

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Api:
    client = api(create_user())
    for number, namespace in enumerate(("eu", "us", None)):
        with audit.transaction():
            audit.record(
                Action.CYCLE_CANCELLED,
                actor=f"actor-{number}",
                namespace=namespace,
                object_type="t",
                object_id=str(number),
                after={"n": number},
            )
    return client


def numbers(client: Api, query: str = "") -> list[int]:
    return [row["id"] for row in client.get(f"/audit-trail?{query}").json()["results"]]


def test_entries_are_searched_and_paged(client: Api) -> None:
    assert numbers(client) == [4, 3, 2, 1]
    row = client.get("/audit-trail?object_id=1").json()["results"][0]
    assert row == {
        **row,
        "id": 3,
        "actor": "actor-1",
        "action": "cycle.cancelled",
        "namespace": "us",
        "after": {"n": 1},
        "before": None,
    }
    assert client.get("/audit-trail/3").json() == row
    assert numbers(client, "namespace=eu") == [2]
    assert numbers(client, "actor=actor-2&action=cycle.cancelled&object_type=t") == [4]
    soon, ago = (
        (timezone.now() + timedelta(hours=hours)).isoformat().replace("+", "%2B")
        for hours in (1, -1)
    )
    assert numbers(client, f"from={ago}&to={soon}") == [4, 3, 2, 1]
    assert numbers(client, f"from={soon}") == numbers(client, f"to={ago}") == []
    page = client.get("/audit-trail?limit=3&action=cycle.cancelled").json()
    assert page["next"] is None
    page = client.get("/audit-trail?limit=3").json()
    assert [row["id"] for row in client.get(page["next"]).json()["results"]] == [1]


def test_an_entry_carries_the_id_of_its_request(client: Api) -> None:
    assert client.post("/cycles/trigger", X_Request_ID="me-1").status_code == 202
    assert [
        row["action"] for row in client.get("/audit-trail?request_id=me-1").json()["results"]
    ] == ["cycle.triggered"]


@pytest.mark.parametrize(
    "query", ["from=x", "to=2026-01-01", "actor=", "action=a&action=b", "nonsense=1", "cursor=x"]
)
def test_an_invalid_parameter_is_refused(client: Api, query: str) -> None:
    assert client.get(f"/audit-trail?{query}").status_code == 400


@pytest.mark.parametrize(
    "path", ["/audit-trail/99", "/audit-trail/0", "/audit-trail/99999999999999999999"]
)
def test_a_missing_entry_is_a_404(client: Api, path: str) -> None:
    problem(client.get(path), 404, "unknown_entry")


def test_a_confined_user_sees_their_entries_and_no_count(client: Api) -> None:
    confined = api(create_user("bea", "Administrator", "us"))
    assert numbers(confined) == [3]
    assert numbers(confined, "namespace=eu") == []
    problem(confined.get("/audit-trail/2"), 404, "unknown_entry")
    problem(confined.get("/audit-trail/verify"), 403, "forbidden")


def test_the_walk_says_intact_or_names_the_first_broken_entry(client: Api) -> None:
    last = AuditTrailEntry.objects.get(pk=4)
    assert client.get("/audit-trail/verify").json() == {
        "intact": True,
        "entries": 4,
        "head": last.hash,
    }
    AuditHead.objects.update(sequence=5)
    verification = client.get("/audit-trail/verify")
    assert verification.status_code == 200
    assert verification.json() == {
        "intact": False,
        "first_broken": 5,
        "problem": verification.json()["problem"],
    }
    assert "head names entry 5" in verification.json()["problem"]


def test_a_long_walk_goes_on_by_its_cursor(client: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(verify, "BATCH", 3)
    monkeypatch.setattr(audit_api, "VERIFY_SECONDS", 0)
    verification = client.get("/audit-trail/verify").json()
    assert (verification["intact"], verification["verified"], verification["entries"]) == (
        None,
        3,
        4,
    )
    assert client.get(verification["next"]).json()["intact"] is True
    problem(client.get(verification["next"] + "x"), 400, "invalid_cursor")


def test_a_page_of_quiet_namespaces_reads_no_entries_of_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO governance_audittrailentry (id, at, actor, action, object_type, object_id,"
            " namespace, reason, request_id, previous_hash, hash)"
            " SELECT 1000 + n, now(), 'ann', 'a', '', '',"
            " CASE WHEN n > 10000 THEN 'busy' WHEN n % 2 = 0 THEN 'a' ELSE 'b' END,"
            " repeat('x', 200), '', repeat('0', 64), lpad(n::text, 64, '0')"
            " FROM generate_series(1, 30000) AS n"
        )
        cursor.execute("ANALYZE governance_audittrailentry")
    client = api(create_user("bea", "Viewer", "a", "b"))
    with CaptureQueriesContext(connection) as captured:
        page = client.get("/audit-trail?limit=50").json()
    assert [row["id"] for row in page["results"]] == list(range(11000, 10950, -1))
    (read,) = [q["sql"] for q in captured if 'ORDER BY "governance_audittrailentry"' in q["sql"]]
    assert explained(read) < 450
