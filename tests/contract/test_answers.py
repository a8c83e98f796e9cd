"""Every answer has Cache-Control and Vary, HEAD is GET, odd addresses of lists are refused."""

import logging
from itertools import cycle
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tests.support import objects, routes
from tests.support.callers import Api, console, create_user, session
from tests.support.objects import url_of

pytestmark = pytest.mark.usefixtures("committed")

#: Each list gets three of these, in turn.
ODD_QUERIES = [
    "foo=bar",
    "status__exact=nonsense",
    "status=nonsense",
    "q=%00",
    "q=%FF",
    "q=99999999999999999999",
    "p=999999",
    "p=-1",
    "p=x",
    "o=99",
    "o=-1.2.x",
    "all=1",
    "namespace=%00",
    "id__in=1,2",
    "id__exact=99999999999999999999",
    "_to_field=password",
    "created_from=yesterday",
    "from=x",
    "to=9999-12-31T23:59:59-23:59",
    "=",
    "namespace=a&namespace=b",
    "user__password__startswith=a",
    "e=1&p=7",
    "a" * 3000 + "=1",
]


@pytest.fixture
def ids(settings: Any) -> dict[str, Any]:
    return objects.create_objects(settings)


@pytest.fixture
def client() -> Api:
    return session(create_user("ann", "Administrator"))


def pages() -> list[str]:
    """Return the addresses of the console that need no object."""
    return sorted(
        f"/{route}"
        for name, route in routes.console().items()
        if "<" not in route and name not in {"logout", "login"}
    )


def fault_of(answer: Any, *, cached: bool = False) -> str:
    """Return what is wrong with the answer's caching, or ""."""
    control, vary = answer.headers.get("Cache-Control", ""), answer.headers.get("Vary", "")
    expected = "private, no-cache" if cached else "no-store"
    if expected not in control:
        return f"{answer.status_code} with Cache-Control: {control!r}"
    return "" if {"Authorization", "Cookie"} <= set(vary.split(", ")) else f"Vary: {vary!r}"


def test_no_answer_may_be_kept_but_those_that_are_asked_for_again_by_their_tag(
    ids: dict[str, Any], client: Api
) -> None:
    faults = {}
    for route, _ in objects.routes():
        for method in ("GET", "POST", "OPTIONS"):
            answer = client.client.generic(
                method, url_of(route, ids), b"{}", content_type="application/json"
            )
            tagged = method == "GET" and answer.status_code == 200 and "ETag" in answer.headers
            faults[f"{method} {route}"] = fault_of(answer, cached=tagged)
        answer = Client().get(url_of(route, ids))
        # Only the API's own document needs no token.
        faults[f"without a token {route}"] = fault_of(answer, cached=answer.status_code == 200)
    for path in ("/", "/health", "/ready", "/metrics", "/api/docs", "/nothing", "/static/nothing"):
        for method in ("GET", "HEAD", "POST"):
            faults[f"{method} {path}"] = fault_of(client.client.generic(method, path))
    assert not {name: fault for name, fault in faults.items() if fault}


def test_no_page_of_the_console_may_be_kept_and_its_head_is_its_get(
    ids: dict[str, Any], client: Api, caplog: pytest.LogCaptureFixture
) -> None:
    browser, faults = client.client, {}
    for path in [*pages(), "/admin/nothing/"]:
        get, head = browser.get(path), browser.head(path)
        faults[f"GET {path}"], faults[f"HEAD {path}"] = fault_of(get), fault_of(head)
        assert head.status_code == get.status_code, path
        assert head.headers["Content-Type"] == get.headers["Content-Type"], path
        assert not getattr(head, "content", b""), path
    for method, path in (("GET", "/admin/login/"), ("POST", "/admin/login/")):
        faults[f"{method} {path}"] = fault_of(Client().generic(method, path))
    assert not {name: fault for name, fault in faults.items() if fault}
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


def test_static_files_may_be_kept() -> None:
    answer = Client().get("/static/orbit/orbit.css")
    assert (answer.status_code, "max-age=3600" in answer.headers["Cache-Control"]) == (200, True)


def test_odd_addresses_of_a_list_are_answered_and_leave_no_trace_in_the_log(
    ids: dict[str, Any], client: Api, caplog: pytest.LogCaptureFixture
) -> None:
    browser, faults, odd = client.client, [], cycle(ODD_QUERIES)
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for method in ("GET", "GET", "HEAD"):
            query = next(odd)
            answer = browser.generic(method, f"{path}?{query}")
            if answer.status_code not in {200, 302, 400}:
                faults.append(f"{method} {path}?{query[:50]}: {answer.status_code}")
    assert faults == []
    lines = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert [line.getMessage() for line in lines if line.name != "django.request"] == []
    assert [line for line in lines if line.exc_info] == []


@pytest.mark.parametrize("query", ["foo=bar", "status__exact=x", "_to_field=password"])
def test_a_filter_that_a_list_does_not_have_is_refused_in_words(query: str) -> None:
    answer = console(create_user()).get(f"/admin/orbit/cyclerun/?{query}")
    page = answer.content.decode()
    assert (answer.status_code, "This list has no such filter" in page) == (400, True)


def test_a_page_that_a_list_does_not_have_leads_to_the_list_with_a_word(
    ids: dict[str, Any],
) -> None:
    answer = console(create_user()).get("/admin/orbit/deadletterdispatch/?e=1")
    page = answer.content.decode()
    assert (answer.status_code, "page of the list doesn&#x27;t exist" in page) == (200, True)
