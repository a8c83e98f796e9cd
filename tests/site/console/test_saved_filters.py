"""Saved filters: kept, shared, pinned with their numbers, deleted."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from governance.console.base import ReadOnlyAdmin
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, SavedFilter
from governance.namespaces import registry
from orbit.models import CycleRun, OverviewFacts
from orbit_site import urls
from orbit_site.saved_filters import count, keep
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
    section = re.search(r'<section [^>]*aria-labelledby="tile-pinned"[^>]*>', page)
    assert section
    address = re.search(r'hx-get="([^"]*)"', section[0])
    assert address
    tile = browser.get(address[1], headers={"HX-Request": "true"}).content.decode()
    return re.findall(r'<a class="btn" href="[^"]*"><span>(.*?)</span> <b>(.*?)</b>', tile)


def create(browser: Client, query: str, **fields: Any) -> SavedFilter:
    """Keep a filter as an older release would have."""
    row = SavedFilter(id=uuid7(), owner_id=int(browser.session["_auth_user_id"]), query=query)
    for field, value in {"address": "orbit/cyclerun/", "shared": False, **fields}.items():
        setattr(row, field, value)
    row.pinned_by = [row.owner_id]
    row.name = fields.get("name", "Mine")
    row.save()
    return row


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
    page = ann.get(PAGE).content.decode()
    assert f'<td data-l="List">Cycles</td><td data-l="Rows" class="num">{failed}</td>' in page
    do(ann, "unpin")
    assert pinned(ann)[0][0] == "Needs attention"


def test_a_dashboard_with_pins_takes_as_few_statements_as_without(
    ann: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(keep.MOST_PINNED + 1):
        save(ann, f"{number}", "status=failed")
        page = do(ann, "pin", f"{number}")
    assert "4 filters are pinned. Take one off first." in page
    assert len(pinned(ann)) == keep.MOST_PINNED
    OverviewFacts.objects.all().delete()
    with django_assert_max_num_queries(15):
        ann.get("/admin/")
    with django_assert_max_num_queries(10):
        ann.get("/admin/saved/pinned/", headers={"HX-Request": "true"})
    # An open page that looks again doesn't count them.
    page = ann.get("/admin/", headers={"HX-Request": "true"}).content.decode()
    assert "Pinned" not in page


def test_a_slow_filter_says_so_and_the_others_are_counted(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(ann, "status=failed")
    create(ann, "status=success", name="Slow")
    compiled = count._compiled

    def slow(rows: Any) -> Any:
        return ("SELECT pg_sleep(9)", ()) if "success" in str(rows.query) else compiled(rows)

    monkeypatch.setattr(count, "_compiled", slow)
    monkeypatch.setattr(count, "_TOGETHER_SECONDS", 0.1)
    monkeypatch.setattr(count, "_ALONE_SECONDS", 5.0)
    monkeypatch.setattr(count, "_REST_SECONDS", 60.0)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = cursor.fetchone()
        # Each is counted alone, and none of them is slow then.
        assert pinned(ann) == [("Mine", "0"), ("Slow", "0")]
        monkeypatch.setattr(count, "_REST_SECONDS", -1.0)
        assert pinned(ann) == [(name, "too slow to count") for name in ("Mine", "Slow")]
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == before


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("orbit/conductortask/", "namespace=%00"),
        ("orbit/cyclerun/", "namespace=%00"),
        ("orbit/cyclerun/", "owner__password__startswith=pbkdf2"),
        ("orbit/cyclerun/", "a_lookup_of_an_older_release=1"),
        ("orbit/a_table_that_is_gone/", "status=failed"),
    ],
)
def test_a_filter_that_cannot_be_read_spoils_no_page_and_can_be_deleted(
    ann: Client, address: str, query: str
) -> None:
    create(ann, query, address=address, shared=True)
    create(ann, "status=failed", name="Fine")
    assert pinned(ann) == [("Fine", "0"), ("Mine", "?")]
    assert ann.get(PAGE).status_code == 200
    assert console(create_user("bob", "Viewer")).get(PAGE).status_code == 200
    assert "Mine is deleted." in do(ann, "delete")
    SavedFilter.objects.all().delete()
    save(ann, query=query, address=address)
    assert not SavedFilter.objects.exists()


def test_no_value_of_a_filter_is_a_fault(ann: Client) -> None:
    values = ("%00", "x" * 900, "99999999999999999999", "0001-01-01", "9999-12-31T23:59:59-12:00")
    assert urls.urlpatterns
    for model, table in admin.site._registry.items():
        if not isinstance(table, ReadOnlyAdmin):
            continue
        offered = {getattr(each, "parameter_name", None) for each in table.list_filter}
        for field in {"q", "namespace", *table.links, *offered} - {None}:
            for number, value in enumerate(values):
                address = f"{model._meta.app_label}/{model._meta.model_name}/"
                create(ann, f"{field}={quote(value, safe='%')}", address=address, name=f"{number}")
            assert ann.get(PAGE).status_code == 200, (address, field)
            SavedFilter.objects.all().delete()


def test_a_pin_that_the_user_no_longer_sees_takes_no_place(ann: Client) -> None:
    registry.ensure(["a"])
    bea = create_user("bea", "Operator", "a")
    for number in range(keep.MOST_PINNED):
        row = create(ann, "status=failed", name=f"{number}", shared=True)
        SavedFilter.objects.filter(pk=row.pk).update(pinned_by=[bea.pk])
    browser = console(bea)
    save(browser)
    assert "is on your dashboard" in do(browser, "pin")


def test_own_filters_are_listed_however_many_are_shared(ann: Client) -> None:
    bob = console(create_user("bob", "Viewer"))
    for number in range(201):
        create(ann, "status=failed", name=f"a{number}", shared=True)
    save(bob, "zz")
    assert "Delete zz" in bob.get(PAGE).content.decode()


def test_a_shared_filter_names_one_namespace(ann: Client) -> None:
    registry.ensure(["a", "secret"])
    save(ann, query="namespace=secret&namespace=a&status=failed", shared="1")
    row = SavedFilter.objects.get()
    assert (row.namespace, "secret" in row.query) == ("a", False)


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
        {"query": "status=failed&p=" + "1" * 10_000},
        {"query": "&".join("a" * 1001)},
        {"query": "status=failed&password__startswith=a"},
        {"query": "status=failed&profile__owner__password__startswith=a"},
        {"name": "\x00"},
        {"name": "x" * 10_000},
        {"address": "x" * 10_000},
        {"do": "unpin", "filter": "\x00"},
        {"address": "auth/user/"},
        {"address": "https://evil.example/"},
        {"do": "pin", "filter": "forged"},
        {"do": "delete"},
    ],
)
def test_forged_fields_save_nothing_and_are_no_fault(ann: Client, fields: dict[str, str]) -> None:
    form = {"do": "save", "name": "n", "address": "orbit/cyclerun/", "query": "status=failed"}
    answer = ann.post(PAGE, {**form, **fields})
    assert answer.status_code in {200, 400, 404}
    assert not SavedFilter.objects.exists()


def test_a_refused_name_comes_back(ann: Client) -> None:
    save(ann)
    page = save(ann)
    assert "You have a saved filter of this name" in page
    assert re.search(r'id="filter-name"[^>]* value="Mine"', page)


def test_all_filters_are_on_pages_and_each_is_on_one(ann: Client) -> None:
    for number in range(60):
        create(ann, f"q={number}", name=f"f{number:02}")
    first, second = (ann.get(f"{PAGE}?p={page}").content.decode() for page in (1, 2))
    names = [re.findall(r">(f\d\d)</a>", page) for page in (first, second)]
    assert [len(each) for each in names] == [50, 10]
    assert sorted(names[0] + names[1]) == [f"f{number:02}" for number in range(60)]
    # Those of every user are on the first page only.
    assert ("Needs attention" in first, "Needs attention" in second) == (True, False)
    assert 'href="?p=2"' in first
    assert 'href="?p=1"' in second
