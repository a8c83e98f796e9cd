"""A refused form says why, in words for the operator of the proxy."""

import logging
from typing import Any

import pytest
from django.test import Client

from governance.kernel.throttled_log import ThrottledLog
from governance.rest import csrf
from tests.support.callers import create_user, problem

pytestmark = pytest.mark.django_db

HOST = "orbit.example.com"
FORM = {"username": "ann", "password": "a-long-password-1"}


@pytest.fixture(autouse=True)
def _fresh(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALLOWED_HOSTS = [HOST]
    settings.ORBIT_TRUSTED_PROXIES = ["10.0.0.7"]
    # The warnings of other tests don't hold back ours.
    monkeypatch.setattr(csrf, "_log", ThrottledLog(csrf.logger.warning))


def send(*, secure: bool = True, host: str = HOST, peer: str = "10.0.0.7", **headers: str) -> Any:
    """Send the log-in form as a browser would that has its cookie and token."""
    browser = Client(enforce_csrf_checks=True, REMOTE_ADDR=peer)
    page = browser.get("/admin/login/", secure=secure, headers={"Host": host})
    token = str(page.context["csrf_token"])
    return browser.post(
        "/admin/login/",
        {**FORM, "csrfmiddlewaretoken": token},
        secure=secure,
        headers={
            "Host": host,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )


def page_of(answer: Any) -> str:
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    return " ".join(answer.content.decode().replace("&#x27;", "'").split())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            {"Origin": f"https://{HOST}:8443"},
            [
                f"from https://{HOST}:8443, but it arrived for https://{HOST}.",
                f"ORBIT_TRUSTED_ORIGINS=https://{HOST}:8443",
                "proxy_set_header Host $http_host",
            ],
        ),
        (
            {"Origin": f"https://{HOST}", "secure": False},
            ["arrived as http", "Let the proxy at 10.0.0.7 send X-Forwarded-Proto: https"],
        ),
        (
            {"Origin": f"https://{HOST}", "secure": False, "X_Forwarded_Proto": "http"},
            ["The proxy at 10.0.0.7 says X-Forwarded-Proto: http"],
        ),
        (
            {
                "Origin": f"https://{HOST}",
                "secure": False,
                "peer": "192.0.2.9",
                "X_Forwarded_Proto": "https",
            },
            ["It came from 192.0.2.9, which isn't in ORBIT_TRUSTED_PROXIES", "was ignored"],
        ),
        (
            {"Origin": f"https://{HOST}:8443", "secure": False, "peer": "192.0.2.9"},
            [f"ORBIT_TRUSTED_ORIGINS=https://{HOST}:8443", "isn't in ORBIT_TRUSTED_PROXIES"],
        ),
        ({"Origin": f"http://{HOST}"}, [f"Open https://{HOST}/admin/."]),
        ({"Origin": "null"}, ["The browser didn't say which page sent this."]),
        ({"Origin": "https://<script>alert(1)</script>"}, ["The browser didn't say"]),
        ({}, ["The browser didn't say which page sent this."]),
        ({"Referer": f"https://{HOST}:8443/admin/"}, [f"TRUSTED_ORIGINS=https://{HOST}:8443"]),
        ({"Referer": f"http://{HOST}/admin/"}, [f"Open https://{HOST}/admin/."]),
        ({"Referer": "https://evil.example/x"}, ["another site tried to act as you"]),
        ({"Referer": "nonsense"}, ["The browser didn't say"]),
    ],
)
def test_the_page_names_the_cause_and_what_to_set(
    request_: dict[str, Any], words: list[str]
) -> None:
    page = page_of(send(**request_))
    assert not [text for text in words if text not in page], page
    assert "<script>" not in page


def test_what_the_page_advises_helps(settings: Any) -> None:
    create_user("ann")
    origin = {"Origin": f"https://{HOST}:8443"}
    assert send(**origin).status_code == 403
    settings.CSRF_TRUSTED_ORIGINS = [f"https://{HOST}:8443"]
    assert send(**origin).status_code == 302
    settings.CSRF_TRUSTED_ORIGINS = []
    settings.ALLOWED_HOSTS = [HOST]
    assert send(host=f"{HOST}:8443", **origin).status_code == 302


@pytest.mark.parametrize(
    ("secure_cookies", "secure", "words"),
    [
        (True, False, f"cookies are for https alone, and this came over http. Open https://{HOST}"),
        (True, True, "Allow cookies for this site"),
        (False, False, "Allow cookies for this site"),
    ],
)
def test_a_missing_cookie_differs_from_one_that_plain_http_loses(
    settings: Any, secure_cookies: bool, secure: bool, words: str
) -> None:
    settings.CSRF_COOKIE_SECURE = secure_cookies
    scheme = "https" if secure else "http"
    headers = {"Host": HOST, "Origin": f"{scheme}://{HOST}"}
    answer = Client(enforce_csrf_checks=True).post(
        "/admin/login/", FORM, secure=secure, headers=headers
    )
    assert words in page_of(answer)


def test_a_page_from_before_the_login_is_to_be_reloaded() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.get("/admin/login/", headers={"Host": HOST})
    for token in ("", "a" * 64):
        form = {**FORM, "csrfmiddlewaretoken": token}
        answer = browser.post("/admin/login/", form, headers={"Host": HOST})
        assert "older than your log-in" in page_of(answer)


def test_the_log_has_one_warning_for_many(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            send(Origin=f"https://{HOST}:{8000 + number}")
    lines = [record.getMessage() for record in caplog.records if "csrf" in record.name]
    assert len(lines) == 1
    assert f"ORBIT_TRUSTED_ORIGINS=https://{HOST}:8000" in lines[0]


def test_the_api_says_the_same_to_a_session() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(create_user())
    headers = {"Host": HOST, "Origin": f"https://{HOST}:8443"}
    answer = browser.post(
        "/cycles/trigger", b"{}", content_type="application/json", secure=True, headers=headers
    )
    detail = problem(answer, 403, "forbidden")["detail"]
    assert f"ORBIT_TRUSTED_ORIGINS=https://{HOST}:8443" in detail
