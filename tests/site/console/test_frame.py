"""The frame of every page: the namespace in the address, the menu, the time zone, news."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpResponseRedirect
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from governance.access.actors import SYSTEM
from governance.console import pages
from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from governance.models import OperationRun
from governance.namespaces import registry
from orbit.models import Profile
from orbit_site import namespace_links, urls
from orbit_site.console import menu
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.objects import create_objects
from tests.support.pipeline import configure_profiles

pytestmark = pytest.mark.django_db
assert urls.urlpatterns  # loading them registers the pages
CYCLES = "/admin/orbit/cyclerun/"


def text(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


@pytest.fixture
def operator() -> Client:
    return console(create_user())


def test_the_namespace_of_the_address_narrows_every_list_and_stays_in_the_links() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
    first, second = active_cycle("a"), active_cycle("b")
    browser = console(create_user("adm", "Administrator"))
    page = text(browser, f"{CYCLES}?namespace=a")
    assert str(first.pk) in page
    assert str(second.pk) not in page
    assert 'href="/admin/orbit/dispatchjob/?namespace=a"' in page
    assert 'value="a" list="own-namespaces"' in page
    # A filter keeps it, and so does "clear".
    assert re.search(r'href="\?namespace=a&amp;status[a-z_]*=failed"', page)
    for table in admin.site._registry.values():
        path = reverse(f"admin:{table.opts.app_label}_{table.opts.model_name}_changelist")
        assert browser.get(path, {"namespace": "a"}).status_code == 200, path


def test_the_switch_keeps_what_else_the_address_says(operator: Client) -> None:
    registry.ensure(["eu"])
    page = text(operator, f"{CYCLES}?status=failed&p=2")
    form = page[page.index('id="namespaces-menu"') :].partition("</form>")[0]
    assert '<input type="hidden" name="status" value="failed">' in form
    assert 'name="p"' not in form
    assert 'href="?status=failed&amp;namespace=eu"' in page


def test_a_redirect_carries_the_namespace(operator: Client) -> None:
    registry.ensure(["eu"])
    answer = operator.post("/admin/halt/?namespace=eu", {"namespace": "eu", "reason": "a flood"})
    assert answer["Location"].endswith("/change/?namespace=eu")


def test_halt_suggests_the_namespace_of_the_object_on_the_page(operator: Client) -> None:
    registry.ensure(["eu", "us"])
    cycle = active_cycle("eu")
    page = text(operator, f"{CYCLES}{cycle.pk}/change/")
    assert re.search(r'id="halt-namespace"[^>]* value="eu"', page)


def test_the_menu_has_the_places_that_the_user_may_open() -> None:
    def titles(browser: Client) -> set[str]:
        groups: list[menu.Group] = browser.get("/admin/tables/").context["frame"].places
        return {place.title for group in groups for place in group.places}

    confined = titles(console(create_user("bea", "Operator", "b")))
    administrator = titles(console(create_user("adm", "Administrator")))
    assert {"Cycles", "Dead letters", "Approvals", "Namespaces", "All tables"} <= confined
    assert {"Access", "Pause"} <= administrator
    assert not {"Access", "Pause"} & confined


def test_places_below_another_are_in_the_menu_while_one_of_them_is_open(operator: Client) -> None:
    below = ">Coverage", ">Error groups", ">Projection"
    for path in ("/admin/telemetry/telemetryevent/", "/admin/telemetry/coverage/"):
        side = text(operator, path).partition('id="side"')[2].partition("</nav>")[0]
        assert all(words in side for words in below)
    side = text(operator, "/admin/").partition('id="side"')[2].partition("</nav>")[0]
    assert not any(words in side for words in below)


def test_all_tables_and_an_apps_tables_are_listed(operator: Client) -> None:
    for path in ("/admin/tables/", "/admin/orbit/"):
        assert '<a href="/admin/orbit/executionrecord/"' in text(operator, path), path


def test_the_page_that_is_open_is_marked(operator: Client) -> None:
    page = text(operator, "/admin/orbit/dispatchjob/")
    assert page.count('aria-current="page"') == 1
    assert '<a href="/admin/orbit/dispatchjob/" aria-current="page">Jobs' in page


def test_times_are_in_the_zone_that_the_user_prefers(operator: Client) -> None:
    active_cycle()
    assert re.search(r"\d\d:\d\d:\d\d UTC", text(operator, CYCLES))
    answer = operator.post("/admin/preferences/", {"zone": "Asia/Kolkata", "keys": "on"})
    assert answer.status_code == 302
    page = text(operator, CYCLES)
    assert re.search(r"\d\d:\d\d:\d\d IST", page)
    assert 'data-keys="on"' in page
    assert operator.post("/admin/preferences/", {"zone": "Mars/Base"}).status_code == 200
    operator.post("/admin/preferences/", {"zone": ""})
    page = text(operator, CYCLES)
    assert not re.search(r"\d\d:\d\d:\d\d IST", page)
    assert 'data-keys="off"' in page


def test_a_forged_zone_is_the_installations(operator: Client) -> None:
    operator.cookies["orbit_zone"] = "../../etc/passwd"
    assert "UTC" in text(operator, "/admin/tables/")


def test_ones_own_operations_are_news_until_they_are_read(operator: Client) -> None:
    fields: dict[str, Any] = {"type": "dlq.bulk_requeue", "identity_hash": "x", "initiator": "ann"}
    OperationRun.objects.create(id=uuid7(), status="queued", **fields)
    assert "1 new" not in text(operator, "/admin/tables/")
    OperationRun.objects.update(
        status="completed", outcome="succeeded", finished_at="2026-01-31 06:00Z"
    )
    page = text(operator, "/admin/tables/")
    assert "1 new" in page
    assert "dlq.bulk_requeue" in page
    assert "1 new" not in text(console(create_user("vic", "Viewer")), "/admin/tables/")
    assert operator.post("/admin/news/read/").status_code == 302
    assert "1 new" not in text(operator, "/admin/tables/")


def test_news_are_read_until_now_by_the_clock_of_the_database(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as fast:
        fast.setattr(timezone, "now", lambda: clock.now() + timedelta(minutes=10))
        operator.post("/admin/news/read/")
    fields: dict[str, Any] = {"type": "dlq.bulk_requeue", "identity_hash": "x", "initiator": "ann"}
    ended = {"status": "completed", "outcome": "succeeded"}
    finished = clock.now() + timedelta(minutes=1)
    OperationRun.objects.create(id=uuid7(), finished_at=finished, **ended, **fields)
    assert "1 new" in text(operator, "/admin/tables/")


def test_an_answer_to_a_poll_has_no_frame(operator: Client) -> None:
    answer = operator.get(CYCLES, headers={"HX-Request": "true"}).content.decode()
    assert "frame-halt" not in answer
    assert 'id="changelist-form"' in answer


def test_a_form_of_an_ended_session_says_what_to_do() -> None:
    answer = Client().post("/admin/halt/", {"namespace": "eu", "reason": "typed"}, follow=True)
    assert answer.redirect_chain == [("/admin/login/?next=/admin/halt/", 302)]
    assert "nothing was saved. Log in" in answer.content.decode()


def test_a_table_of_the_whole_workspace_ignores_the_namespace() -> None:
    registry.ensure(["eu"])
    browser = console(create_user("adm", "Administrator"))
    assert "adm" in text(browser, "/admin/auth/user/?namespace=eu")
    assert SYSTEM.namespaces is None


@pytest.mark.parametrize(
    "query",
    ["_popup=1", "_popup=<script>", "_to_field=id", "_to_field=password", "o=-1.2", "p=0", "e=1"],
)
def test_forged_parameters_are_no_fault(operator: Client, query: str) -> None:
    operator.raise_request_exception = False
    assert operator.get(f"{CYCLES}?{query}").status_code in {200, 302, 400}


@pytest.mark.parametrize("address", ["//evil.example", "javascript:alert(1)", "x" * 10_000])
def test_a_forged_next_leads_to_the_console(address: str) -> None:
    create_user("ola", "Operator")
    answer = Client().post(
        "/admin/login/",
        {"username": "ola", "password": "a-long-password-1", "next": address},
    )
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_each_link_and_form_of_a_page_keeps_its_namespace(settings: Any) -> None:
    objects = create_objects(settings)
    browser = console(create_user("adm", "Administrator"))
    change = "/admin/{}/{}/change/".format
    for path in (
        *(f"/admin/{page.address}" for page in pages.registered() if "<" not in page.address),
        *(
            reverse(f"admin:{table.opts.app_label}_{table.opts.model_name}_changelist")
            for table in admin.site._registry.values()
        ),
        change("orbit/cyclerun", objects["cycle_id"]),
        change("orbit/profile", objects["pk"]),
        change("advisory/strategyproposal", objects["proposal_id"]),
        change("orbit/deadletterdispatch", objects["letter_id"]),
        "/admin/",
    ):
        answer = browser.get(f"{path}?namespace=a")
        if answer.status_code == 302:  # the page of a form: it shows nothing
            continue
        page = answer.content.decode()
        links = re.findall(r'[ \n](?:href|action|formaction|hx-get)="([^"]*)"', page)
        inside = [link for link in links if link.startswith(("/admin/", "?"))]
        # Django's lists hand their filters down in one parameter.
        assert [link for link in inside if not re.search("namespace(=|%3D)", link)] == [], path
        for form in re.findall(r'<form [^>]*method="get".*?</form>', page, re.DOTALL):
            assert form.count('name="namespace"') == 1, path
    assert 'href="?namespace=">All namespaces</a>' in page


def test_links_keep_what_else_they_say() -> None:
    page = '<a class="x" href="/admin/a/?p=2&amp;q=3#x"> <a href="/static/x"> <a href="#here">'
    assert namespace_links.in_page(page, "eu") == (
        '<a class="x" href="/admin/a/?p=2&amp;q=3&amp;namespace=eu#x"> '
        '<a href="/static/x"> <a href="#here">'
    )


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("/admin/x/it&#x27;s/?q=&#39;", "/admin/x/it&#x27;s/?q=&#39;&amp;namespace=eu"),
        ("?", "?namespace=eu"),
        (".", ".?namespace=eu"),
        # What a user searches for names no namespace.
        ("?q=namespace%3Dus", "?q=namespace%3Dus&amp;namespace=eu"),
        ("?run__namespace=us", "?run__namespace=us&amp;namespace=eu"),
        ("?p=2&amp;namespace=", "?p=2&amp;namespace="),
        ("?_changelist_filters=q%3Dx%26namespace%3Dus",) * 2,
        ("/admin/login/?next=/admin/%3Fnamespace%3Dus",) * 2,
        ("//evil.example/admin/",) * 2,
        ("https://example.com/admin/?q=1",) * 2,
    ],
)
def test_a_link_names_one_namespace(link: str, kept: str) -> None:
    page = namespace_links.in_page(f'<a class="x" href="{link}">', "eu")
    assert page == f'<a class="x" href="{kept}">'


def test_a_redirect_keeps_its_fragment_and_never_leaves_the_console() -> None:
    request = RequestFactory().get("/admin/", {"namespace": "eu"})
    for location, kept in (
        ("/admin/x/?p=1#part", "/admin/x/?p=1&namespace=eu#part"),
        ("/administrator/", "/administrator/"),
        ("https://example.com/admin/", "https://example.com/admin/"),
    ):
        assert namespace_links.keep(request, HttpResponseRedirect(location))["Location"] == kept


def test_a_profile_is_listed_once_in_a_namespace() -> None:
    configure_profiles(r1={"namespace": "a"}, r2={"namespace": "a"}, r3={"namespace": "b"})
    path = "/admin/orbit/profile/"
    for user in (create_user("adm", "Administrator"), create_user("con", "Configurator", "a")):
        changes = console(user).get(path, {"namespace": "a"}).context["cl"]
        assert ([str(row) for row in changes.result_list], changes.result_count) == (["p1"], 1)
    administrator = console(create_user("rob", "Administrator"))
    assert not administrator.get(path, {"namespace": "c"}).context["cl"].result_count
    # The page of a profile is open in every namespace.
    page = f"{path}{Profile.objects.get().pk}/change/"
    assert administrator.get(page, {"namespace": "c"}).status_code == 200
