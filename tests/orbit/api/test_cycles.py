"""GET /cycles, /cycles/recent, /cycles/{id}; POST /cycles/{id}/cancel."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, Namespace
from orbit.models import CycleRun
from tests.support.callers import api, create_user, problem
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_profiles

pytestmark = pytest.mark.django_db
RECENT_FIELDS = {
    "id",
    "namespace",
    "status",
    "trigger",
    "run_profile_id",
    "created_at",
    "started_at",
    "finished_at",
}


def _ended(number: int) -> list[CycleRun]:
    return CycleRun.objects.bulk_create(
        CycleRun(
            id=uuid7(),
            namespace_id="default",
            status="success" if n % 2 else "failed",
            trigger="rest",
            context={},
            initiation_hash="0" * 64,
            input=b"{}",
            input_content_type="application/json",
            input_sha256="0" * 64,
            finished_at="2026-01-01T00:00:00Z",
        )
        for n in range(number)
    )


def test_recent_is_the_last_twenty_newest_first() -> None:
    cycle_ids = [str(cycle.pk) for cycle in _ended(25)]
    cycles = api(create_user()).get("/cycles/recent").json()["results"]
    assert [row["id"] for row in cycles] == cycle_ids[:-21:-1]
    assert set(cycles[0]) >= RECENT_FIELDS
    assert cycles[0]["created_at"].endswith("Z")


def test_pages_go_forth_and_back_without_gap_or_double_while_new_cycles_come() -> None:
    cycle_ids = [str(cycle.pk) for cycle in _ended(7)][::-1]
    client = api(create_user())
    first = client.get("/cycles?limit=3").json()
    assert first["previous"] is None
    _ended(2)
    second = client.get(first["next"].replace("http://testserver", "")).json()
    third = client.get(second["next"].replace("http://testserver", "")).json()
    assert [row["id"] for page in (first, second, third) for row in page["results"]] == cycle_ids
    assert third["next"] is None
    second_again = client.get(third["previous"].replace("http://testserver", "")).json()
    assert [row["id"] for row in second_again["results"]] == cycle_ids[3:6]
    assert second_again["next"] is not None


def test_pages_of_some_namespaces_go_forth_and_back_over_all_of_them() -> None:
    Namespace.objects.bulk_create(Namespace(name=name) for name in "abcd")
    cycles = _ended(17)[::-1]
    for number, cycle in enumerate(cycles):
        cycle.namespace_id = "d" if number == 12 else "abcb"[number % 4]
    CycleRun.objects.bulk_update(cycles, ["namespace_id"])
    own = [str(cycle.pk) for cycle in cycles if cycle.namespace_id in "abd"]
    client = api(create_user("bea", "Viewer", "a", "b", "d"))
    link, forth, back = "/cycles?limit=4", [], []
    while link:
        last, page = link, client.get(link.replace("http://testserver", "")).json()
        forth += [row["id"] for row in page["results"]]
        link = page["next"]
    link = last
    while link:
        page = client.get(link.replace("http://testserver", "")).json()
        back = [row["id"] for row in page["results"]] + back
        link = page["previous"]
    assert (forth, back) == (own, own)
    failed = [str(c.pk) for c in cycles if c.namespace_id == "b" and c.status == "failed"]
    page = client.get("/cycles?namespace=b&status=failed").json()
    assert [row["id"] for row in page["results"]] == failed
    assert client.get("/cycles?namespace=c").json()["results"] == []


def test_filters_narrow_and_stay_in_the_links() -> None:
    _ended(6)
    client = api(create_user())
    page = client.get(
        "/cycles?status=failed&limit=2&created_from=2020-01-01T00:00:00Z&namespace=default"
    ).json()
    assert {row["status"] for row in page["results"]} == {"failed"}
    assert "status=failed" in page["next"]
    assert "created_from=2020" in page["next"]
    assert client.get("/cycles?created_to=2020-01-01T00:00:00Z").json()["results"] == []
    assert len(client.get("/cycles?created_from=2020-01-01T00:00:00Z").json()["results"]) == 6


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/cycles", 3),
        ("/cycles/recent", 3),
        ("/dead-letters", 3),
        ("/profiles", 3),
        ("/run-profiles", 3),
    ],
)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(path: str, queries: int) -> None:
    client = api(create_user())
    client.get(path)
    _ended(60)
    configure_profiles(**{f"r{n}": {"namespace": "a"} for n in range(30)})
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    statements = [
        query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))
    ]
    assert len(statements) == queries, statements
    assert not any("COUNT(" in statement.upper() for statement in statements)


def test_an_unknown_cycle_is_a_404() -> None:
    problem(api(create_user()).get(f"/cycles/{uuid.uuid4()}"), 404, "unknown_cycle")


def test_a_fresh_cycle_has_nothing_yet() -> None:
    body = api(create_user()).get(f"/cycles/{active_cycle().pk}").json()
    assert (body["status"], body["tiers"], body["jobs"], body["stages"], body["input"]["size"]) == (
        "pending",
        [],
        [],
        [],
        2,
    )
    assert body["verdict"].startswith("Pending")


def test_cancel_ends_the_cycle_once_with_an_audit_entry() -> None:
    cycle = active_cycle()
    client = api(create_user())
    answer = client.post(f"/cycles/{cycle.pk}/cancel", {"reason": "wrong input"})
    assert (answer.status_code, answer.json()) == (
        202,
        {"cycle_run_id": str(cycle.pk), "status": "cancelled"},
    )
    problem(client.post(f"/cycles/{cycle.pk}/cancel", {"reason": "again"}), 409, "finished")
    entry = AuditTrailEntry.objects.get(action="cycle.cancelled")
    assert (entry.actor, entry.reason, entry.object_id) == ("ann", "wrong input", str(cycle.pk))
    assert "wrong input" in client.get(f"/cycles/{cycle.pk}").json()["verdict"]
