"""Each request goes to the pool that it belongs to; the routes of stops exist."""

import pytest
from django.urls import resolve

from orbit_site.web import shares
from tests.support.project import PROJECT

ID = "0190a1b2-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("/governance/namespaces/eu/halt", shares.STOPS),
        ("/governance/namespaces/eu/drain", shares.STOPS),
        ("/governance/namespaces/eu/resume", shares.STOPS),
        ("/governance/pause", shares.STOPS),
        ("/governance/unpause", shares.STOPS),
        ("/admin/halt/", shares.STOPS),
        ("/admin/pause/", shares.STOPS),
        ("/admin/governance/namespace/7/halt/", shares.STOPS),
        ("/admin/governance/namespace/7/drain/", shares.STOPS),
        ("/admin/governance/namespace/7/resume/", shares.STOPS),
        (f"/cycles/{ID}/cancel", shares.CANCELS),
        (f"/operations/{ID}/cancel", shares.CANCELS),
        (f"/admin/orbit/cyclerun/{ID}/cancel/", shares.CANCELS),
        (f"/admin/governance/operationrun/{ID}/cancel/", shares.CANCELS),
        ("/telemetry/events", shares.EVENTS),
        ("/health", shares.HEALTH),
        ("/ready", shares.READY),
        ("/cycles/trigger", shares.ORDINARY),
        ("/admin/orbit/cyclerun/", shares.ORDINARY),
    ],
)
def test_what_stops_work_has_its_own_pool(path: str, share: str) -> None:
    resolve(path)  # a renamed route must be renamed here too
    assert shares.of("POST", path, b"") == share


@pytest.mark.parametrize(
    ("path", "form", "share"),
    [
        ("/admin/governance/namespace/", b"csrf=x&action=halt&asked=1", shares.STOPS),
        ("/admin/governance/namespace/", b"action=drain", shares.STOPS),
        ("/admin/governance/namespace/", b"reason=action=halt", shares.ORDINARY),
        ("/admin/orbit/cyclerun/", b"a=1&action=cancel&_selected_action=1", shares.CANCELS),
        ("/admin/governance/operationrun/", b"action=cancel", shares.CANCELS),
        ("/admin/orbit/cyclerun/", b"action=rerun", shares.ORDINARY),
        ("/cycles/trigger", b"action=halt", shares.ORDINARY),
    ],
)
def test_a_list_of_the_console_names_its_action_in_the_form(
    path: str, form: bytes, share: str
) -> None:
    assert shares.of("POST", path, form) == share


def test_reading_is_ordinary() -> None:
    assert shares.of("GET", "/telemetry/events", b"") == shares.ORDINARY
    assert shares.of("GET", "/governance/pause", b"") == shares.ORDINARY
    assert shares.of("GET", "/governance/namespaces/eu/halt", b"") == shares.ORDINARY


def test_the_forms_that_stop_open_beside_a_flood() -> None:
    for path in ("/admin/halt/", "/admin/pause/"):
        resolve(path)
        assert shares.of("GET", path, b"") == shares.STOPS


def test_a_large_body_takes_no_thread_of_the_stops() -> None:
    large = b"a" * (shares.SMALL_BODY + 1)
    assert shares.of("POST", "/admin/halt/", large) == shares.LARGE
    assert shares.of("PUT", "/profiles/p", large) == shares.LARGE
    assert shares.of("POST", "/admin/governance/namespace/", b"action=halt&" + large) == (
        shares.LARGE
    )


def test_the_documents_count_the_connections_of_a_web_process() -> None:
    # Only /health needs none.
    threads = sum(size.threads for name, size in shares.SIZES.items() if name != shares.HEALTH)
    text = " ".join((PROJECT / "docs/deploy.md").read_text().split())
    assert f"`ORBIT_WEB_WORKERS` x {threads} of each web server" in text


def test_only_events_may_be_large() -> None:
    assert shares.largest_body("POST", "/telemetry/events") == 16 * 1024 * 1024
    assert shares.largest_body("GET", "/telemetry/events") == 1024 * 1024
    assert shares.largest_body("POST", "/telemetry/coverage") == 1024 * 1024
