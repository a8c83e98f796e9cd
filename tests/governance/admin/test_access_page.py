"""The Access page: users, roles, tokens and lock-outs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from governance.access import lockout, tokens
from governance.access.actors import SYSTEM
from governance.models import ApiToken, LoginAttempt
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


@pytest.mark.parametrize(
    "who", [("ola", "Operator"), ("con", "Configurator"), ("bea", "Administrator", "eu")]
)
def test_the_page_is_for_administrators_of_the_whole_workspace(who: tuple[str, ...]) -> None:
    browser = console(create_user(*who))
    assert browser.get("/admin/access/").status_code == 403
    assert "/admin/access/" not in browser.get("/admin/").content.decode()
