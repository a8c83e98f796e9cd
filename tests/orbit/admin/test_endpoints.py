"""Endpoints in the console: state, rates, last errors, and nothing secret."""

from typing import Any

import pytest
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from orbit.dispatch import endpoint_health
from orbit.models import DispatchJob, EndpointState
from tests.support.callers import console, create_user
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver, http

pytestmark = pytest.mark.usefixtures("committed")
HOSTILE = b"<script>alert(1)</script>"


def test_the_page_of_an_endpoint_says_how_it_does(settings: Any) -> None:
    with Receiver() as good, Receiver(http("410 Gone", HOSTILE)) as bad:
        configure_endpoints(settings, aurora=good.url, archive=bad.url)
        configure_profiles(r1={"namespace": "a", "distribution_targets": ["aurora", "archive"]})
        run_cycle(start_cycle("r1"))
    browser = console(create_user())
    listing = browser.get("/admin/orbit/endpoints/").content.decode()
    assert "<h1>archive is failing</h1>" in listing
    assert "100.0 %" in listing
    page = browser.get("/admin/orbit/endpoints/archive/").content.decode()
    job = DispatchJob.objects.filter(endpoint_key="archive").first()
    assert job is not None
    for words in ("Failing", "0 of", "HTTP 410", "set, in use since", f"{job.pk}/change/", ">r1<"):
        assert words in page, words
    assert "token-of-" not in page
    assert "<script>alert(1)" not in page
    health = endpoint_health.read("aurora", actor=SYSTEM).health
    assert (health.hour.ended, health.hour.delivered) == (3, 3)
    assert health.p95 is not None


def test_an_open_circuit_says_since_when_and_when_it_is_probed(settings: Any) -> None:
    configure_endpoints(settings, aurora="http://127.0.0.1:9/x")
    EndpointState.objects.create(
        id="0190c7a0-0000-7000-8000-000000000000",
        endpoint_key="aurora",
        host="127.0.0.1",
        opened_at=Now(),
        probe_at=Now(),
        probe_wait=30,
        last_error="<b>no answer</b>",
    )
    browser = console(create_user())
    assert "<h1>aurora is down</h1>" in browser.get("/admin/orbit/endpoints/").content.decode()
    page = browser.get("/admin/orbit/endpoints/aurora/").content.decode()
    assert "Down since" in page
    assert "&lt;b&gt;no answer&lt;/b&gt;" in page


def test_endpoints_are_for_users_of_the_whole_workspace(settings: Any) -> None:
    configure_endpoints(settings, aurora="http://127.0.0.1:9/x")
    confined = console(create_user("bea", "Operator", "a"))
    viewer = console(create_user("vic", "Viewer"))
    for address in ("/admin/orbit/endpoints/", "/admin/orbit/endpoints/aurora/"):
        assert confined.get(address).status_code == 403
    assert viewer.post("/admin/orbit/endpoints/aurora/").status_code == 403
    page = viewer.get("/admin/orbit/endpoints/aurora/").content.decode()
    assert "Send test delivery" not in page
    for key in ("nowhere", "x" * 10_000, "%3Cscript%3E"):
        assert viewer.get(f"/admin/orbit/endpoints/{key}/").status_code == 404


def test_the_endpoint_that_is_down_comes_first(settings: Any) -> None:
    configure_endpoints(settings, archive="http://127.0.0.1:9/x", zeta="http://127.0.0.1:9/y")
    EndpointState.objects.create(
        id="0190c7a0-0000-7000-8000-000000000001",
        endpoint_key="zeta",
        host="127.0.0.1",
        opened_at=Now(),
        probe_at=Now(),
        probe_wait=30,
    )
    assert [health.key for health in endpoint_health.listed(SYSTEM)] == ["zeta", "archive"]
