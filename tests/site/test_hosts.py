"""Probes come by address. Elsewhere a host that isn't listed gets the name of the variable."""

import logging

import pytest
from django.test import Client

from orbit_site import hosts

pytestmark = pytest.mark.django_db

ODD = ["10.244.0.5:3000", "orbit_web", "", "a,b", "[fe80::1%eth0]:80", "<b>", "g\xfc", "x" * 9000]


@pytest.fixture(autouse=True)
def listed(settings: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]  # type: ignore[attr-defined]
    settings.ORBIT_METRICS_TOKEN = "a-token-of-the-scraper"  # type: ignore[attr-defined]
    monkeypatch.setattr(hosts, "_refused", hosts.ThrottledLog(hosts.log.warning))


@pytest.mark.parametrize("host", ODD)
def test_probes_answer_under_any_host(client: Client, host: str) -> None:
    for method in ("get", "head"):
        ask = getattr(client, method)
        assert ask("/health", HTTP_HOST=host).status_code == 200
        assert ask("/ready", HTTP_HOST=host).status_code in {200, 503}
    token = {"HTTP_AUTHORIZATION": "Bearer a-token-of-the-scraper"}
    assert client.get("/metrics", HTTP_HOST=host, **token).status_code == 200


@pytest.mark.parametrize("host", ODD)
def test_a_refused_host_gets_the_name_of_the_variable(client: Client, host: str) -> None:
    document = client.get("/cycles", HTTP_HOST=host)
    assert (document.status_code, document["Content-Type"]) == (400, "application/problem+json")
    assert document.json()["code"] == "malformed"
    assert "ORBIT_ALLOWED_HOSTS" in document.json()["detail"]
    for path in ("/", "/admin/", "/admin/login/"):
        page = client.get(path, HTTP_HOST=host)
        assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
        assert b"ORBIT_ALLOWED_HOSTS" in page.content
        assert b"<b>" not in page.content
        assert len(page.content) < 3000


def test_a_listed_host_is_answered_and_paths_beside_a_probe_are_no_probes(client: Client) -> None:
    assert client.get("/cycles", HTTP_HOST="orbit.example.com:8443").status_code == 401
    assert client.get("/cycles", HTTP_HOST="EXAMPLE.com").status_code == 401
    assert client.get("/health/", HTTP_HOST="other").status_code == 400


def test_the_log_has_one_line_with_host_and_variable(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for host in ("evil\x1b[31m", "other"):
            client.get("/cycles", HTTP_HOST=host)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1, lines
    assert "ORBIT_ALLOWED_HOSTS" in lines[0]
    assert "evil\\x1b[31m" in lines[0]
