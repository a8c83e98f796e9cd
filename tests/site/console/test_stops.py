"""Stops from the console: halt, pause, drain, resume, and their banners."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, GovernanceSetting, Namespace, Stop
from governance.namespaces import halts, pauses, registry, status
from orbit.models import ClusterNode
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db
PAGES = (
    "/admin/",
    "/admin/orbit/cyclerun/",
    "/admin/governance/namespace/",
    "/admin/pause/",
    "/admin/halt/",
)


def text(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def row(name: str = "default") -> int:
    return Namespace.objects.get(name=name).pk


@pytest.fixture
def operator() -> Client:
    return console(create_user())


def test_halt_stands_on_every_page_for_those_who_may(operator: Client) -> None:
    for path in PAGES:
        assert 'class="frame-halt"' in text(operator, path), path
    viewer = console(create_user("vic", "Viewer"))
    for path in PAGES[:-1]:
        assert "frame-halt" not in text(viewer, path), path
    assert viewer.get("/admin/halt/").status_code == 403
    assert viewer.post("/admin/halt/", {"namespace": "default"}).status_code == 403
    assert not Stop.objects.exists()


def test_halt_is_for_the_namespace_of_the_page_and_else_asks_for_one(operator: Client) -> None:
    registry.ensure(["eu"])
    assert '<input type="hidden" name="namespace" value="eu">' in text(
        operator, "/admin/orbit/cyclerun/?namespace=eu"
    )
    assert (
        'name="namespace" value'
        not in text(operator, "/admin/").partition('class="stop"')[2].partition("<dialog")[0]
    )
    assert 'value="eu"' in text(operator, "/admin/halt/?namespace=eu").partition("</dialog>")[2]
    assert "&lt;script&gt;" in text(operator, "/admin/halt/?namespace=<script>")


def test_a_halt_from_the_header_needs_no_reason_and_shows_as_a_banner_everywhere(
    operator: Client,
) -> None:
    answer = operator.post("/admin/halt/", {"namespace": "default", "reason": "", "until": ""})
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/admin/governance/namespace/{row()}/change/",
    )
    assert AuditTrailEntry.objects.get().action == "namespace.halted"
    for path in (*PAGES, "/admin/banners/"):
        page = text(operator, path)
        assert '<aside class="banners" aria-label="System state">' in page
        assert re.search(r"default is halted since \d\d:\d\d UTC by ann: none given\.", page)
        assert "What is in flight is ending." in page
        assert f'<a href="/admin/governance/namespace/{row()}/resume/">Resume</a>' in page
    assert "Resume</a>" not in text(console(create_user("vic", "Viewer")), "/admin/banners/")


def test_a_namespace_is_halted_drained_and_resumed_on_its_page_with_its_history(
    operator: Client,
) -> None:
    place = f"/admin/governance/namespace/{row()}/"
    assert "Halt namespace" in text(operator, f"{place}halt/")
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert (
        operator.post(f"{place}drain/", {"reason": "a release", "until": until}).status_code == 302
    )
    assert status.find("default", actor=SYSTEM).until == datetime.fromisoformat(until + "+00:00")
    assert operator.post(f"{place}halt/", {"reason": "a flood <b>"}).status_code == 302
    halts.mark_quiet(
        Stop.objects.order_by("-id")[0].pk,
        at=datetime.now(UTC),
        certificate='{"commanded_at": "2026-01-31T06:00:00Z", '
        '"last_delivery_started_at": "2026-01-31T05:59:59Z", "started_after_command": 0, '
        '"in_flight": [{"dispatch_job_id": "j", "endpoint_key": "aurora", "attempt": 1, '
        '"started_at": "2026-01-31T05:59:59Z", "ended_at": null, "outcome": "unknown"}], '
        '"in_flight_count": 1, "quiet_at": "2026-01-31T06:00:02Z"}',
    )
    page = text(operator, f"{place}change/")
    for words in (
        "quiet",
        "a flood &lt;b&gt;",
        "a release",
        "Certificate of the halt",
        "“a flood &lt;b&gt;”. Quiet since ",
        "; nothing is in flight.",
        "2026-01-31 05:59:59 UTC",
        "aurora",
        f'href="{place}resume/"',
    ):
        assert words in page, words
    assert "<b>" not in page.replace("<b></b>", "")
    answer = operator.post(f"{place}resume/", {"reason": " "})
    assert "This field is required." in answer.content.decode()
    assert operator.post(f"{place}resume/", {"reason": "it is dry"}).status_code == 302
    assert status.find("default", actor=SYSTEM).state == "running"
    assert list(AuditTrailEntry.objects.order_by("id").values_list("action", "actor")) == [
        ("namespace.drained", "ann"),
        ("namespace.halted", "ann"),
        ("namespace.resumed", "ann"),
    ]


def test_a_red_banner_is_above_an_amber_one(operator: Client) -> None:
    halts.halt("default", actor=SYSTEM, reason="a flood")
    page = text(operator, "/admin/banners/")
    styles = re.findall(r'class="banner (\w+)"', page)
    assert {"bad", "part"} == set(styles)
    assert styles == sorted(styles)


def test_what_is_refused_stands_at_its_field_and_nothing_typed_is_lost(operator: Client) -> None:
    page = operator.post(
        "/admin/halt/", {"namespace": "nowhere", "reason": "a flood"}
    ).content.decode()
    assert "There is no namespace &#x27;nowhere&#x27;." in page
    assert "a flood</textarea>" in page
    page = operator.post(
        "/admin/halt/", {"namespace": "default", "until": "2020-01-01T00:00"}
    ).content.decode()
    assert "Use a future time" in page
    assert (
        "Enter a valid date/time."
        in operator.post(
            "/admin/halt/", {"namespace": "default", "until": "tomorrow"}
        ).content.decode()
    )
    assert operator.post("/admin/halt/", {"namespace": "no\x00"}).status_code == 400
    assert not Stop.objects.exists()


def test_who_is_confined_halts_what_they_see_and_pauses_nothing() -> None:
    registry.ensure(["a", "b"])
    halts.halt("a", actor=SYSTEM, reason="secret of a")
    confined = console(create_user("bea", "Operator", "b"))
    page = text(confined, "/admin/governance/namespace/")
    assert ">b</a>" in page
    assert "secret of a" not in page
    assert 'id="halt-namespace" type="text" name="namespace" maxlength="100" value="b"' in page
    assert '<option value="a">' not in page
    for path in (
        f"/admin/governance/namespace/{row('a')}/{action}/"
        for action in ("halt", "resume", "drain", "change")
    ):
        assert confined.get(path).status_code in {302, 404}, path
    assert (
        "There is no namespace"
        in confined.post("/admin/halt/", {"namespace": "a"}).content.decode()
    )
    assert confined.get("/admin/pause/").status_code == 403
    assert confined.post("/admin/pause/", {"action": "pause", "reason": "r"}).status_code == 403
    pauses.pause(actor=SYSTEM, reason="a fire")
    assert "End pause" not in text(confined, "/admin/banners/")
    assert confined.post("/admin/halt/", {"namespace": "b"}).status_code == 302
    assert AuditTrailEntry.objects.filter(actor="bea").count() == 1


def test_everything_is_paused_and_goes_on_from_the_console(operator: Client) -> None:
    assert "Pause everything</button>" in text(operator, "/admin/pause/")
    assert (
        "This field is required."
        in operator.post("/admin/pause/", {"action": "pause", "reason": ""}).content.decode()
    )
    assert (
        operator.post("/admin/pause/", {"action": "pause", "reason": "a fire"}).status_code == 302
    )
    page = text(operator, "/admin/pause/")
    assert "End pause</button>" in page
    assert "Everything is paused since" in page
    assert "by ann: “a fire”." in page
    viewer = console(create_user("vic", "Viewer"))
    assert "End pause</button>" not in text(viewer, "/admin/pause/")
    assert viewer.post("/admin/pause/", {"action": "unpause", "reason": "r"}).status_code == 403
    assert (
        operator.post("/admin/pause/", {"action": "unpause", "reason": "it is out"}).status_code
        == 302
    )
    assert "Pause everything</button>" in text(operator, "/admin/pause/")
    assert list(AuditTrailEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "pause.set",
        "pause.lifted",
    ]


def test_the_environments_pause_is_named_with_its_hosts_and_isnt_switched(
    operator: Client, settings: Any
) -> None:
    ClusterNode.objects.create(
        id=uuid7(), host="rack-7", pid=1, release="1", workers=1, paused=True
    )
    for path in ("/admin/", "/admin/pause/"):
        assert "ORBIT_GLOBAL_PAUSE pauses the clusters on rack-7" in text(operator, path)
    settings.ORBIT_GLOBAL_PAUSE = True
    assert "this web server and the clusters on rack-7" in text(operator, "/admin/pause/")
    page = operator.post(
        "/admin/pause/", {"action": "unpause", "reason": "please"}
    ).content.decode()
    assert "Unset it and restart" in page


def test_a_stop_whose_time_is_over_is_no_banner(operator: Client) -> None:
    halts.halt("default", actor=SYSTEM, until=datetime.now(UTC) + timedelta(hours=1))
    assert "until" in text(operator, "/admin/banners/")
    GovernanceSetting.objects.update(until=datetime.now(UTC) - timedelta(seconds=1))
    assert "halt" not in text(operator, "/admin/banners/")


def test_administrators_make_namespaces_here(operator: Client) -> None:
    assert operator.get("/admin/governance/namespace/new/").status_code == 403
    browser = console(create_user("ada", "Administrator"))
    assert "Create namespace" in text(browser, "/admin/governance/namespace/")
    for name, words in (
        ("a b", "1 to 100 letters"),
        ("default", "already"),
        (" eu", "1 to 100 letters"),
        ("", "required"),
    ):
        assert (
            words
            in browser.post("/admin/governance/namespace/new/", {"name": name}).content.decode()
        ), name
    assert browser.post("/admin/governance/namespace/new/", {"name": "eu"}).status_code == 302
    assert AuditTrailEntry.objects.get().action == "namespace.created"
    assert browser.post("/admin/halt/", {"namespace": "us"}).status_code == 302
    assert AuditTrailEntry.objects.order_by("-id")[0].after["created"] is True


def test_only_logged_in_users_see_the_banners() -> None:
    halts.halt("default", actor=SYSTEM)
    assert Client().get("/admin/banners/").status_code == 302
    assert "System state" not in Client().get("/admin/login/").content.decode()


def test_a_message_keeps_the_small_letter_of_a_namespace(operator: Client) -> None:
    registry.ensure(["eu"])
    answer = operator.post(
        f"/admin/governance/namespace/{row('eu')}/halt/",
        {"asked": "1", "reason": "it doubles"},
        follow=True,
    )
    assert '<li class="success">eu is halting.</li>' in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "button"), [("/admin/halt/", "Halt namespace"), ("/admin/pause/", "Pause everything")]
)
def test_a_button_that_stops_looks_different(operator: Client, path: str, button: str) -> None:
    assert f'class="btn stop">{button}</button>' in text(operator, path)
