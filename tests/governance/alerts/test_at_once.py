"""Evaluations at once, as of two clusters."""

from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Notification
from tests.support.threads import at_once

CHANNELS = ["endpoint:pager", "email"]
DOWN = Condition.ENDPOINT_DOWN
AURORA = Look.of([Observation("aurora", "aurora is down")])


def test_of_evaluations_at_once_one_opens_the_alert_and_one_closes_it(committed: str) -> None:
    results = at_once(*[lambda: evaluate.apply(DOWN, AURORA, CHANNELS)] * 8)
    assert sum(opened for opened, _ in results) == 1
    assert Notification.objects.filter(phase="opened").count() == 2
    results = at_once(*[lambda: evaluate.apply(DOWN, Look.of([]), CHANNELS)] * 8)
    assert sum(closed for _, closed in results) == 1
    assert Notification.objects.filter(phase="closed").count() == 2
