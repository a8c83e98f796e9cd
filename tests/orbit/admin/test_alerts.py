"""Acknowledge on the page of alerts."""

from uuid import UUID

import pytest

from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Alert
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db


def test_acknowledge_says_who_looks_after_the_alert() -> None:
    evaluate.apply(Condition.DEAD_LETTERS, Look.of([Observation("x in a", "3 letters", "a")]), [])
    address = f"/admin/alerts/{Alert.objects.get().pk}/acknowledge/"
    browser = console(create_user())
    page = browser.post(address, {"reason": "calling them"}, follow=True).content.decode()
    assert "ann looks after it" in page
    assert Alert.objects.get().acknowledged_by == "ann"


def test_a_refusal_is_a_message_and_an_unknown_alert_a_404_that_says_so() -> None:
    evaluate.apply(Condition.DEAD_LETTERS, Look.of([Observation("x in a", "3 letters", "a")]), [])
    browser = console(create_user())
    address = f"/admin/alerts/{Alert.objects.get().pk}/acknowledge/"
    refused = browser.post(address, {"reason": "x" * 100_000}, follow=True)
    assert "messagelist" in refused.content.decode()
    assert not Alert.objects.get().acknowledged_by
    unknown = browser.post(f"/admin/alerts/{UUID(int=1)}/acknowledge/", {"reason": "x"})
    assert unknown.status_code == 404
    assert "There is no alert" in unknown.content.decode()
