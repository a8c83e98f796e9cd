"""The Access page: users, roles, tokens and lock-outs."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from governance.access import lockout, overview, tokens
from governance.access.actors import SYSTEM
from governance.models import ApiToken, LoginAttempt
from governance.namespaces import registry
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db


def test_the_page_shows_users_tokens_lock_outs_and_permissions() -> None:
    ann = create_user("ann", "Operator", "eu")
    tokens.create(ann, scopes=["read"], actor=SYSTEM, name="<b>nightly</b>")
    ApiToken.objects.update(created_at=timezone.now() - timedelta(days=91))
    now = timezone.now()
    LoginAttempt.objects.create(
        name="ann",
        address="192.0.2.7",
        failures=lockout.LIMIT,
        since=now,
        ends_at=now + timedelta(minutes=9),
    )
    LoginAttempt.objects.create(
        name="zoe", address="192.0.2.8", failures=1, since=now, ends_at=now + timedelta(minutes=9)
    )
    browser = console(create_user("adm", "Administrator"))
    assert "In which namespaces" not in browser.get("/admin/access/").content.decode()
    page = browser.get("/admin/access/?user=ann").content.decode()
    assert "ann is Operator; sees eu only." in page
    assert "Unlock ann" in page
    assert "zoe" not in page
    assert "for 90 days" in page
    assert "&lt;b&gt;nightly" in page
    assert (
        "There is no user of that name"
        in browser.get("/admin/access/?user=unknown").content.decode()
    )
    row = LoginAttempt.objects.get(name="ann")
    assert (
        browser.post(
            f"/admin/governance/loginattempt/{row.pk}/unlock/", {"reason": "it was her"}
        ).status_code
        == 302
    )
    assert not LoginAttempt.objects.filter(name="ann").exists()
    assert "No user is locked out." in browser.get("/admin/access/").content.decode()


def test_the_matrix_has_the_users_namespaces_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PER_PAGE", 2)
    registry.ensure(["a", "b", "c", "d"])
    create_user("ann", "Operator", "a", "c", "d")
    create_user("sue", "Viewer")
    browser = console(create_user("adm", "Administrator"))

    def rows(query: str) -> tuple[list[str], str]:
        page = browser.get(f"/admin/access/?{query}").content.decode()
        table = page.partition('id="reach"')[2].partition("</section>")[0]
        link = re.search(r'rel="next" href="([^"#]*)', table)
        names = re.findall(r'<tr><th scope="row">([^<]*)</th><td>yes', table)
        return names, html.unescape(link[1])[1:] if link else ""

    first, link = rows("user=ann")
    assert (first, link) == (["a", "c"], "user=ann&after=c")
    # A place in the order of names: what is granted meanwhile moves no row.
    registry.ensure(["aa"])
    assert rows(link) == (["d"], "")
    # Of the whole workspace: all namespaces.
    assert rows("user=sue")[0] == ["a", "aa"]
    assert rows("user=gone") == ([], "")
    User.objects.filter(username="ann").update(is_active=False)
    assert rows("user=ann") == ([], "")


@pytest.mark.parametrize(
    "who", [("ola", "Operator"), ("con", "Configurator"), ("bea", "Administrator", "eu")]
)
def test_the_page_is_for_administrators_of_the_whole_workspace(who: tuple[str, ...]) -> None:
    browser = console(create_user(*who))
    assert browser.get("/admin/access/").status_code == 403
    assert "/admin/access/" not in browser.get("/admin/").content.decode()
