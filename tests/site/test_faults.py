"""Answers outside of views, and without the database."""

from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import Client

from tests.support.callers import api, create_user, problem


@pytest.fixture
def gone(committed: str) -> Iterator[tuple[str, Client]]:
    """A token and a logged-in browser without a database."""
    user = create_user()
    client = api(user).client
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    place = connections["default"].settings_dict
    host = place["HOST"]
    connections["default"].close()
    place["HOST"] = "/nonexistent"
    try:
        yield client.defaults["HTTP_AUTHORIZATION"], browser
    finally:
        place["HOST"] = host


def test_without_the_database_the_api_and_the_console_answer_503_and_health_200(
    gone: tuple[str, Client],
) -> None:
    token, browser = gone
    client = Client(raise_request_exception=False, headers={"Authorization": token})
    problem(client.get("/cycles"), 503, "database_unavailable")
    problem(
        client.post("/cycles/trigger", b"{}", content_type="application/json"),
        503,
        "database_unavailable",
    )
    problem(browser.get("/cycles"), 503, "database_unavailable")
    page = browser.get("/admin/orbit/cyclerun/")
    assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert client.get("/health").status_code == 200


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused_as_a_page_in_the_console() -> None:
    browser = Client(enforce_csrf_checks=True)
    answer = browser.post("/admin/login/", {"username": "ann", "password": "x"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert b"<style" not in answer.content


@pytest.mark.django_db
def test_an_unknown_page_of_the_console_is_a_page() -> None:
    browser = Client()
    browser.force_login(create_user())
    answer = browser.get("/admin/orbit/cyclerun/00000000-0000-0000-0000-000000000000/change/")
    assert (answer.status_code, b"There is no cycle" in answer.content) == (404, True)
