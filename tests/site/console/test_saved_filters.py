"""Saved filters: kept, shared, pinned with their numbers, deleted."""

import re
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from governance.models import AuditTrailEntry, SavedFilter
from governance.namespaces import registry
from orbit.models import CycleRun
from orbit_site import urls
from orbit_site.saved_filters import keep
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints

pytestmark = pytest.mark.django_db
assert urls.urlpatterns  # loading them registers the pages
PAGE, CYCLES = "/admin/saved/", "/admin/orbit/cyclerun/"


@pytest.fixture
def ann() -> Client:
    return console(create_user())


def save(browser: Client, name: str = "Mine", query: str = "status=failed", **fields: str) -> str:
    form = {"do": "save", "name": name, "address": "orbit/cyclerun/", "query": query, **fields}
    return browser.post(PAGE, form, follow=True).content.decode()


def do(browser: Client, action: str, name: str = "Mine") -> str:
    row = SavedFilter.objects.get(name=name)
    fields = {"do": action, "filter": str(row.pk)}
    return browser.post(PAGE, fields, follow=True).content.decode()


def pinned(browser: Client, query: str = "") -> list[tuple[str, str]]:
    page = browser.get(f"/admin/{query}").content.decode()
    tile = page.partition('id="tile-pinned"')[2].partition("</section>")[0]
    return re.findall(r'<a class="btn" href="[^"]*">(.*?) <b>(.*?)</b>', tile)


def test_a_filter_is_saved_from_its_list_and_opens_it_again(ann: Client) -> None:
    assert "Save this filter" not in ann.get(CYCLES).content.decode()
    page = ann.get(f"{CYCLES}?status=failed&older_than=00000000-0000-0000-0000-000000000000")
    form = page.content.decode().partition('id="save-filter"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="(do|address|query)" value="([^"]*)"', form))
    fields["query"] = fields["query"].replace("&amp;", "&")
    ann.post(PAGE, {**fields, "name": "<b>Mine</b>"})
    row = SavedFilter.objects.get()
    # Not the place in the list.
    assert (row.address, row.query) == ("orbit/cyclerun/", "status=failed")
    page = ann.get(CYCLES).content.decode()
    assert f'<a href="{CYCLES}?status=failed">&lt;b&gt;Mine&lt;/b&gt;</a>' in page
    assert "Mine" not in ann.get("/admin/orbit/dispatchjob/").content.decode()
    assert not AuditTrailEntry.objects.exists()


def test_the_dashboard_counts_what_is_pinned_as_the_list_does(ann: Client, settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    create_dead_letters(3)
    registry.ensure(["a", "b"])
    first, second = active_cycle("a"), active_cycle("b")
    ended = CycleRun.objects.filter(pk__in=[first.pk, second.pk])
    ended.update(status="failed", finished_at=Now())
    failed = CycleRun.objects.filter(status="failed").count()
    names = ["Needs attention", "Dead today", "My operations"]
    assert [name for name, _ in pinned(ann)] == [names[0], names[1], "My approvals", names[2]]
    assert dict(pinned(ann))["Dead today"] == "3"
    save(ann)
    do(ann, "pin")
    assert pinned(ann) == [("Mine", f"{failed}")]
    # The page's namespace narrows the number, as it does the link.
    in_a = CycleRun.objects.filter(status="failed", namespace="a").count()
    assert in_a == failed - 1
    assert pinned(ann, "?namespace=a") == [("Mine", f"{in_a}")]
    assert f"{failed}</td>" in ann.get(PAGE).content.decode()
    do(ann, "unpin")
    assert pinned(ann)[0][0] == "Needs attention"


def test_a_dashboard_with_pins_takes_two_statements_more(
    ann: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(keep.MOST_PINNED + 1):
        save(ann, f"{number}", "status=failed")
        page = do(ann, "pin", f"{number}")
    assert "4 filters are pinned. Take one off first." in page
    assert len(pinned(ann)) == keep.MOST_PINNED
    with django_assert_max_num_queries(17):
        ann.get("/admin/")
    # An open page that looks again doesn't count them.
    page = ann.get("/admin/", headers={"HX-Request": "true"}).content.decode()
    assert "Pinned" not in page


def test_others_have_a_shared_filter_and_sharing_is_audited(ann: Client) -> None:
    save(ann, shared="1")
    save(ann, "Private")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.after["name"]) == ("saved_filter.shared", "Mine")
    bob = console(create_user("bob", "Viewer"))
    page = bob.get(PAGE).content.decode()
    assert "shared by ann" in page
    assert "Private" not in page
    assert ">Share it<" not in bob.get(f"{CYCLES}?status=failed").content.decode()
    do(bob, "pin")
    assert pinned(bob) == [("Mine", "0")]
    assert pinned(ann)[0][0] == "Needs attention"  # a pin is one user's
    assert "permission" in save(bob, "His", shared="1")
    assert "permission" in do(bob, "delete")
    assert SavedFilter.objects.count() == 2
    do(console(create_user("adm", "Administrator")), "delete")
    assert AuditTrailEntry.objects.latest("id").action == "saved_filter.removed"
    assert not SavedFilter.objects.filter(name="Mine").exists()


def test_a_confined_user_has_only_shared_filters_of_their_namespaces(ann: Client) -> None:
    registry.ensure(["a", "b"])
    save(ann, "Of all", shared="1")
    save(ann, "Of b", "namespace=b&status=failed", shared="1")
    save(ann, "Of a", "namespace=a&status=failed", shared="1")
    bea = console(create_user("bea", "Operator", "a"))
    page = bea.get(PAGE).content.decode()
    assert "Of a" in page
    assert "Of all" not in page
    assert "Of b" not in page
    row = SavedFilter.objects.get(name="Of b")
    answer = bea.post(PAGE, {"do": "pin", "filter": str(row.pk)})
    assert answer.status_code == 404
    assert "Choose one of your namespaces" in save(bea, "Hers", shared="1")
    assert "is saved" in save(bea, "Hers", "namespace=a&status=failed", shared="1")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": " "},
        {"name": "x" * 81},
        {"query": ""},
        {"query": "p=2"},
        {"query": "password=x"},
        {"query": "status=" + "x" * 1000},
        {"address": "auth/user/"},
        {"address": "https://evil.example/"},
        {"do": "pin", "filter": "forged"},
        {"do": "delete"},
    ],
)
def test_forged_fields_save_nothing_and_are_no_fault(ann: Client, fields: dict[str, str]) -> None:
    form = {"do": "save", "name": "n", "address": "orbit/cyclerun/", "query": "status=failed"}
    answer = ann.post(PAGE, {**form, **fields})
    assert answer.status_code in {200, 404}
    assert not SavedFilter.objects.exists()


def test_a_refused_name_comes_back(ann: Client) -> None:
    save(ann)
    page = save(ann)
    assert "You have a saved filter of this name" in page
    assert re.search(r'id="filter-name"[^>]* value="Mine"', page)
