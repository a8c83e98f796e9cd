"""A form that is refused comes back with the reason that was typed."""

import re
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from governance.models import Alert, ApiToken, Namespace
from orbit_site import urls
from tests.support.callers import console, create_user
from tests.support.objects import create_objects

pytestmark = pytest.mark.django_db
assert urls.urlpatterns  # loading them registers the pages
TYPED = "<b>Aurora</b> is back"
SHOWN = "&lt;b&gt;Aurora&lt;/b&gt; is back"
PAST = "2020-01-31T06:00"

#: Address, what is typed beside the reason, and the words of the refusal.
FORMS = {
    "halt": ("halt/", {"namespace": "x" * 101}, "at most 100 characters"),
    "halt until": ("halt/", {"namespace": "a", "until": PAST}, "Until"),
    "drain until": ("governance/namespace/{ns}/drain/", {"until": PAST}, "until"),
    "pause until": ("pause/", {"until": PAST}, "until"),
    "cron": ("orbit/schedules/{name}/cron/", {"cron": "61 * * * *"}, "cron"),
    "trigger": ("orbit/cyclerun/trigger/", {"run_profile_id": "r1"}, "active"),
    "dead letter": ("orbit/deadletterdispatch/{letter_id}/requeue/", {"endpoint": "x"}, "valid"),
    "confirm": ("advisory/strategyproposal/{proposal_id}/confirm/", {}, "on probation"),
    "proposal": (
        "advisory/strategyproposal/{proposal_id}/change/",
        {"verdict": "approve", "seen": "0" * 64},
        "has changed since you saw it",
    ),
    "roll back": ("orbit/profile/{pk}/history/1/", {"over": "7"}, "is the current one"),
    "token": ("access/tokens/new/", {"owner": "gone"}, "no active user"),
}


@pytest.fixture
def objects(settings: Any) -> dict[str, Any]:
    made = create_objects(settings)
    return {**made, "ns": Namespace.objects.get(name="a").pk}


@pytest.mark.parametrize("name", FORMS)
def test_a_refused_form_keeps_its_reason(objects: dict[str, Any], name: str) -> None:
    address, fields, words = FORMS[name]
    browser = console(create_user("adm", "Administrator"))
    answer = browser.post(f"/admin/{address.format(**objects)}", {"reason": TYPED, **fields})
    page = answer.content.decode()
    assert answer.status_code != 302, (answer["Location"], words)
    assert SHOWN in page
    assert words in page


def alerts(browser: Client, alert: Any, reason: str) -> str:
    answer = browser.post(f"/admin/alerts/{alert}/acknowledge/", {"reason": reason}, follow=True)
    return answer.content.decode()


def test_a_refused_acknowledgement_keeps_its_reason(objects: dict[str, Any]) -> None:
    browser = console(create_user("adm", "Administrator"))
    page = alerts(browser, objects["alert_id"], TYPED + "x" * 2000)
    assert re.search(f'name="reason"[^>]*value="{SHOWN}', page)
    # The page doesn't look again: that would take the text away.
    assert "data-every" not in page
    assert not Alert.objects.get().acknowledged_by


def test_who_acknowledges_second_reads_who_was_first_and_keeps_the_text(
    objects: dict[str, Any],
) -> None:
    Alert.objects.update(acknowledged_at=Now(), acknowledged_by="ann", acknowledged_reason="mine")
    page = alerts(console(create_user("adm", "Administrator")), objects["alert_id"], TYPED)
    assert "ann looks after it" in page
    assert f"Your reason was not saved: {SHOWN}" in page


def test_a_roll_back_over_what_the_page_now_shows_goes_on(objects: dict[str, Any]) -> None:
    browser = console(create_user("con", "Configurator"))
    address = f"/admin/orbit/profile/{objects['pk']}/history/1/"
    page = browser.post(address, {"reason": TYPED, "over": "7"}).content.decode()
    assert 'name="over" value="1"' in page


def test_a_selection_that_is_gone_says_what_was_typed() -> None:
    browser = console(create_user("adm", "Administrator"))
    fields = {"action": "revoke", "_selected_action": "7", "asked": "1", "reason": TYPED}
    page = browser.post("/admin/governance/apitoken/", fields, follow=True).content.decode()
    assert f"Your reason was not saved: {SHOWN}" in page
    assert not ApiToken.objects.exists()


def test_after_a_refused_confirmation_the_decision_still_goes_to_the_proposal(
    objects: dict[str, Any],
) -> None:
    browser = console(create_user("adm", "Administrator"))
    address = f"/admin/advisory/strategyproposal/{objects['proposal_id']}/"
    page = browser.post(f"{address}confirm/", {"reason": TYPED}).content.decode()
    assert f'class="ask decide" action="{address}change/"' in page
