"""A log-in leads to the page that was asked for, or to the console's first page."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db

FORM = {"username": "ann", "password": "a-long-password-1"}


@pytest.fixture(autouse=True)
def ann() -> User:
    return create_user("ann", "Viewer")


def login(**data: str) -> str:
    answer = Client().post("/admin/login/", {**FORM, **data})
    assert answer.status_code == 302
    return str(answer.headers["Location"])


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "https:%2f%2fevil.example",
        "/admin//evil.example",
        "/admin/%0d%0aX: y",
        "/admin/\r\nX: y",
        "/admin/orbit/cyclerun/\x00",
        "http://[::1",
        "http://testserver:8443/admin/orbit/cyclerun/",
        "/admin",
        "/admin/login/",
        "/admin/login/?next=/admin/login/",
        "/admin/logout/",
        "/admin/jsi18n/",
        "/admin/nothing/",
        "/nothing",
        "/cycles",
        "/admin/../cycles",
        "/admin/halt/",  # a viewer may not
        "/admin/access/",
        "/admin/auth/user/",
    ],
)
def test_anything_else_than_a_page_that_the_user_may_see_leads_to_the_console(asked: str) -> None:
    assert login(next=asked) == "/admin/"
    answer = Client().post(f"/admin/login/?{urlencode({'next': asked})}", FORM)
    assert answer.headers["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/admin/orbit/cyclerun/?namespace=eu", "/admin/orbit/cyclerun/?namespace=eu"),
        ("http://testserver/admin/orbit/cyclerun/", "/admin/orbit/cyclerun/"),
        ("/admin/password_change/", "/admin/password_change/"),
        ("/admin/orbit/cyclerun/?q=gr\u00fc\u65e5", "/admin/orbit/cyclerun/?q=gr%C3%BC%E6%97%A5"),
    ],
)
def test_a_page_of_the_console_is_shown(asked: str, path: str) -> None:
    assert login(next=asked) == path


def test_without_next_and_when_logged_in_already_the_console_is_shown(ann: User) -> None:
    assert login() == "/admin/"
    browser = console(ann)
    for address in ("/admin/login/", "/admin/login/?next=https://evil.example"):
        answer = browser.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_the_pages_after_a_logout_and_a_changed_password_lead_on(ann: User) -> None:
    browser = console(ann)
    assert 'href="/admin/"' in browser.get("/admin/password_change/done/").content.decode()
    page = browser.post("/admin/logout/")
    assert (page.status_code, 'href="/admin/"' in page.content.decode()) == (200, True)
    login_page = browser.get("/admin/password_change/")
    assert login_page.headers["Location"] == "/admin/login/?next=/admin/password_change/"
