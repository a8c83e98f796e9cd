"""Alerts open once, are sent once, and are resolved when their condition is over."""

import pytest
from django.db import connection

from governance.alerts import evaluate, notifications, retention
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import Alert, AlertWatch, Notification

pytestmark = pytest.mark.django_db
CHANNELS = ["endpoint:pager", "email"]
DOWN = Condition.ENDPOINT_DOWN


def seen(*objects: str, count: int = 1) -> Look:
    return Look.of([Observation(name, f"{name} is down", count=count) for name in objects])


def phases() -> list[tuple[str, str, str]]:
    messages = Notification.objects.order_by("id")
    return [(message.alert.object, message.channel, message.phase) for message in messages]


def test_an_alert_is_put_into_the_outbox_once_when_it_opens_and_once_when_it_closes() -> None:
    for _ in range(3):
        evaluate.apply(DOWN, seen("aurora"), CHANNELS)
    assert Alert.objects.get().resolved_at is None
    opened = [("aurora", channel, "opened") for channel in CHANNELS]
    assert phases() == opened
    for _ in range(3):
        evaluate.apply(DOWN, seen(), CHANNELS)
    assert Alert.objects.get().resolved_at is not None
    assert phases() == opened + [("aurora", channel, "closed") for channel in CHANNELS]


def test_a_condition_that_comes_again_is_another_alert() -> None:
    for look in (seen("aurora"), seen(), seen("aurora")):
        evaluate.apply(DOWN, look, ["email"])
    assert Alert.objects.count() == 2
    assert Alert.objects.filter(resolved_at__isnull=True).count() == 1


def test_an_open_alert_keeps_its_beginning_and_follows_its_count() -> None:
    evaluate.apply(DOWN, seen("aurora"), [])
    first = Alert.objects.get().first_seen_at
    evaluate.apply(DOWN, seen("aurora", count=9), [])
    alert = Alert.objects.get()
    assert (alert.count, alert.first_seen_at) == (9, first)


def test_objects_are_told_apart_and_conditions_too() -> None:
    evaluate.apply(DOWN, seen("aurora", "borealis"), [])
    evaluate.apply(Condition.HALTED_LONG, seen("aurora"), [])
    evaluate.apply(DOWN, seen("borealis"), [])
    is_open = Alert.objects.filter(resolved_at__isnull=True).values_list("condition", "object")
    assert set(is_open) == {("endpoint_down", "borealis"), ("halted_long", "aurora")}


def test_a_look_that_may_have_missed_some_resolves_nothing() -> None:
    evaluate.apply(DOWN, seen("aurora"), [])
    evaluate.apply(DOWN, Look([], is_complete=False), [])
    many = seen(*(f"e{number}" for number in range(101)))
    assert (len(many.observations), many.is_complete) == (100, False)
    evaluate.apply(DOWN, many, [])
    assert Alert.objects.get(object="aurora").resolved_at is None


def test_a_condition_that_cannot_be_read_leaves_its_alerts_and_stops_no_other() -> None:
    def fails() -> Look:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column")
        raise AssertionError

    evaluate.apply(DOWN, seen("aurora"), [])
    counts = evaluate.evaluate({DOWN: fails, Condition.HALTED_LONG: lambda: seen("eu")}, [])
    assert (counts["failed"], counts["created"]) == (1, 1)
    assert Alert.objects.filter(resolved_at__isnull=True).count() == 2
    assert AlertWatch.objects.get().evaluated_at is not None


def test_hostile_text_is_stored_and_cut() -> None:
    look = Look.of([Observation("x\x00" * 300, "\ud800" * 3000)])
    evaluate.apply(DOWN, look, ["email"])
    evaluate.apply(DOWN, look, ["email"])
    alert = Alert.objects.get()
    assert (len(alert.object), len(alert.summary)) == (250, 2000)


def test_a_message_is_claimed_once_and_again_only_after_its_lease() -> None:
    evaluate.apply(DOWN, seen("aurora"), ["email"])
    message = notifications.claim()
    assert message is not None
    assert (message.attempts, message.document["type"]) == (1, "alert.opened")
    assert notifications.claim() is None
    Notification.objects.update(next_attempt_at="2020-01-01T00:00Z")
    again = notifications.claim()
    assert again is not None
    assert (again.id, again.attempts) == (message.id, 2)
    notifications.give_up(message, "late")  # the first sender has lost it
    assert Notification.objects.get().status == "pending"
    notifications.delivered(message)  # but a success counts
    assert Notification.objects.get().status == "delivered"


def test_closed_is_not_sent_before_opened() -> None:
    evaluate.apply(DOWN, seen("aurora"), ["email"])
    evaluate.apply(DOWN, seen(), ["email"])
    first = notifications.claim()
    assert first is not None
    assert first.phase == "opened"
    assert notifications.claim() is None
    notifications.delivered(first)
    second = notifications.claim()
    assert second is not None
    assert second.phase == "closed"


def test_failed_messages_of_open_alerts_are_listed() -> None:
    evaluate.apply(DOWN, seen("aurora"), ["email"])
    message = notifications.claim()
    assert message is not None
    notifications.retry(message, wait=60, error="refused")
    assert [late.last_error for late in notifications.late()] == ["refused"]
    notifications.give_up(message, "refused for good")
    assert [gone.last_error for gone in notifications.failed()] == ["refused for good"]
    evaluate.apply(DOWN, seen(), [])
    assert not notifications.failed().exists()


def test_resolved_alerts_are_deleted_after_a_while() -> None:
    evaluate.apply(DOWN, seen("aurora", "borealis"), ["email"])
    evaluate.apply(DOWN, seen("borealis"), ["email"])
    assert retention.delete_old(90) == 0
    Alert.objects.filter(object="aurora").update(resolved_at="2020-01-01T00:00Z")
    retention.delete_old(90)
    assert [alert.object for alert in Alert.objects.all()] == ["borealis"]
    assert {name for name, _, _ in phases()} == {"borealis"}
