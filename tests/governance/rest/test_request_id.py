"""Every answer has its request's id, and the audit trail keeps it."""

import pytest
from django.test import Client

from governance.models import AuditTrailEntry
from tests.support.callers import api, console, create_user
from tests.support.pipeline import configure_profiles

pytestmark = pytest.mark.django_db

PATHS = [
    "/health",
    "/ready",
    "/cycles",
    "/metrics",
    "/nothing",
    "/api/schema",
    "/api/docs",
    "/",
    "/admin/",
    "/admin/nothing/",
    "/admin/login/",
    "/static/orbit/orbit.css",
    "/static/nothing.css",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_id_that_was_sent(path: str) -> None:
    for client in (Client(raise_request_exception=False), console(create_user())):
        assert (
            client.get(path, headers={"X-Request-ID": "order-4711"}).headers["X-Request-ID"]
            == "order-4711"
        )


@pytest.mark.parametrize("received", ["", "a b", "x" * 129, "\u00e9", "a\tb", "a,b", "<script>"])
def test_an_id_that_is_unsafe_in_a_log_is_replaced(received: str) -> None:
    identifier = Client().get("/health", headers={"X-Request-ID": received}).headers["X-Request-ID"]
    assert len(identifier) == 32
    assert int(identifier, 16)


def test_no_two_requests_share_one() -> None:
    assert len({Client().get("/health").headers["X-Request-ID"] for _ in range(20)}) == 20


def test_an_entry_of_the_audit_trail_has_the_id_of_its_request() -> None:
    configure_profiles()
    client = api(create_user())
    started = client.post("/cycles/trigger", {"run_profile_id": "r1"}).json()["cycle_run_id"]
    client.post(f"/cycles/{started}/cancel", {"reason": "no"}, X_Request_ID="order-4712")
    assert AuditTrailEntry.objects.get(action="cycle.cancelled").request_id == "order-4712"
