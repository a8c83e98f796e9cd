"""Every resource: 401 without a token, 403 without the scope, 404 for another namespace."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.models import ApiToken
from tests.support.callers import Api, api, create_user, problem
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_profiles

pytestmark = pytest.mark.django_db

ID = str(uuid.UUID(int=0))
READS = [
    "/cycles",
    "/cycles/recent",
    f"/cycles/{ID}",
    "/profiles",
    "/profiles/p",
    "/run-profiles",
    "/run-profiles/r",
    "/dead-letters",
    f"/dead-letters/{ID}",
    "/dead-letters/groups",
    "/operations",
    f"/operations/{ID}",
    f"/operations/{ID}/items",
    "/metrics",
    "/governance/pause",
    "/governance/namespaces",
    "/governance/namespaces/default",
    "/schedules",
    "/schedules/ticks",
    "/schedules/why",
    "/profiles/p/revisions",
    "/profiles/p/revisions/1",
    "/run-profiles/r/revisions",
    "/run-profiles/r/revisions/1",
    "/config/diff",
    "/value-ledger",
    "/value-ledger/totals",
    "/value-ledger/totals.csv",
    "/strategy-proposals",
    f"/strategy-proposals/{ID}",
    "/audit-trail",
    "/audit-trail/1",
    "/audit-trail/verify",
    f"/strategy-proposals/{ID}/backtest",
]
WRITES = [
    "/cycles/trigger",
    f"/cycles/{ID}/cancel",
    f"/cycles/{ID}/rerun",
    "/cycles/rerun",
    f"/dead-letters/{ID}/requeue",
    f"/dead-letters/{ID}/dismiss",
    "/dead-letters/requeue",
    "/dead-letters/dismiss",
    f"/operations/{ID}/cancel",
    "/governance/pause",
    "/governance/unpause",
    "/governance/namespaces",
    "/governance/namespaces/default/halt",
    "/governance/namespaces/default/drain",
    "/governance/namespaces/default/resume",
    "/run-profiles/trigger",
    "/run-profiles/r/trigger",
    "/telemetry/events",
    "/profiles/p/strategy-proposals",
    "/strategy-proposals",
    f"/strategy-proposals/{ID}/approve",
    f"/strategy-proposals/{ID}/reject",
]
#: Routes that need the scope `configure`.
EDITS = [
    ("PUT", "/governance/namespaces/default/approval-policy"),
    ("PUT", "/profiles/p"),
    ("PUT", "/run-profiles/r"),
    ("POST", "/profiles/p/revisions/1/restore"),
    ("POST", "/run-profiles/r/revisions/1/restore"),
    ("POST", "/config/reload"),
]


@pytest.mark.parametrize("path", READS)
def test_reading_needs_a_token(path: str) -> None:
    answer = api().get(path)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", WRITES)
def test_writing_needs_a_token_and_the_scope_before_the_body_is_looked_at(path: str) -> None:
    problem(api().post(path, b"\xff not json"), 401, "unauthenticated")
    problem(
        api(create_user("vic", "Viewer"), "read", "operate").post(path, b"\xff not json"),
        403,
        "forbidden",
    )
    problem(
        api(create_user("ola", "Operator"), "read").post(path, b"\xff not json"), 403, "forbidden"
    )


@pytest.mark.parametrize(("method", "path"), EDITS)
def test_editing_needs_its_own_scope_before_the_body_is_looked_at(method: str, path: str) -> None:
    for client, status, code in (
        (api(), 401, "unauthenticated"),
        (api(create_user("vic", "Viewer"), "configure"), 403, "forbidden"),
        (api(create_user("ola", "Operator")), 403, "forbidden"),
        (api(create_user("con", "Configurator"), "read"), 403, "forbidden"),
    ):
        problem(
            client.put(path, b"\xff not json")
            if method == "PUT"
            else client.post(path, b"\xff not json"),
            status,
            code,
        )


def test_a_token_may_no_more_than_its_owner_and_no_more_than_its_scopes() -> None:
    problem(api(create_user("rev", "Reviewer"), "operate").get("/cycles"), 403, "forbidden")
    assert api(create_user("con", "Configurator"), "read").get("/cycles").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer orbit_nothing",
        "Bearer \u00e9",
        "Bearer " + "x" * 5000,
        "bearer orbit_" + "A" * 43,
    ],
)
def test_a_wrong_token_is_a_401(header: str) -> None:
    problem(api().get("/cycles", Authorization=header), 401, "invalid_token")


def test_another_scheme_is_anonymous() -> None:
    problem(api().get("/cycles", Authorization="Basic YTpi"), 401, "unauthenticated")


def test_an_ended_token_works_no_more() -> None:
    user = create_user()
    token, raw = tokens.create(user, scopes=["read"], actor=SYSTEM)
    client = Api(raw)
    assert client.get("/cycles").status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    problem(client.get("/cycles"), 401, "invalid_token")
    ApiToken.objects.filter(pk=token.pk).update(expires_at=None)
    tokens.revoke(token, actor=SYSTEM)
    problem(client.get("/cycles"), 401, "invalid_token")


def test_a_switched_off_owner_has_no_tokens() -> None:
    user = create_user()
    client = api(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    problem(client.get("/cycles"), 401, "invalid_token")


def test_a_namespace_that_is_hidden_looks_like_one_that_is_missing() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    foreign, own = active_cycle("a"), active_cycle("b")
    client = api(create_user("bea", "Operator", "b"))
    assert [row["id"] for row in client.get("/cycles").json()["results"]] == [str(own.pk)]
    assert [row["id"] for row in client.get("/cycles/recent").json()["results"]] == [str(own.pk)]
    assert client.get("/cycles?namespace=a").json()["results"] == []
    for hidden, missing in (
        (client.get(f"/cycles/{foreign.pk}"), client.get(f"/cycles/{ID}")),
        (
            client.post(f"/cycles/{foreign.pk}/cancel", {"reason": "no"}),
            client.post(f"/cycles/{ID}/cancel", {"reason": "no"}),
        ),
        (
            client.post("/cycles/trigger", {"namespace": "a"}),
            client.post("/cycles/trigger", {"namespace": "c"}),
        ),
        (
            client.post("/cycles/trigger", {"run_profile_id": "r1"}),
            client.post("/cycles/trigger", {"run_profile_id": "r9"}),
        ),
        (client.get("/run-profiles/r1"), client.get("/run-profiles/r9")),
    ):
        hidden_body, missing_body = hidden.json(), missing.json()
        assert (
            (hidden.status_code, hidden_body["code"])
            == (missing.status_code, missing_body["code"])
            == (404, hidden_body["code"])
        )
    foreign.refresh_from_db()
    assert foreign.status == "pending"
    assert [row["run_profile_id"] for row in client.get("/run-profiles").json()["results"]] == [
        "r2"
    ]


def test_a_confined_token_of_an_unconfined_owner_sees_its_namespaces_only() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    client = api(create_user(), namespaces=["a"])
    assert [row["run_profile_id"] for row in client.get("/run-profiles").json()["results"]] == [
        "r1"
    ]
    problem(client.get("/metrics"), 403, "forbidden")


def test_a_session_reads_and_writes_only_with_its_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(create_user())
    assert client.get("/cycles").status_code == 200
    problem(
        client.post("/cycles/trigger", b"{}", content_type="application/json"), 403, "forbidden"
    )
    client.get("/admin/orbit/cyclerun/")
    token = client.cookies["csrftoken"].value
    answer = client.post(
        "/cycles/trigger", b"{}", content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert answer.status_code == 202
