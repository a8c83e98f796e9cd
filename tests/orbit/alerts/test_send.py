"""Messages about alerts leave by the code of deliveries, and by e-mail."""

import base64
import hashlib
import hmac
import json
import smtplib
from typing import Any

import pytest
from django.core import mail

from governance.alerts import evaluate, notifications
from governance.alerts.conditions import Condition, Look, Observation
from governance.models import AlertWatch, Notification
from orbit.alerts import heartbeat, send
from tests.support.receiver import OK, Receiver, silent

pytestmark = pytest.mark.django_db
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
SEEN = Look.of([Observation("aurora", "aurora is down", "a", "/admin/orbit/endpoints/")])


def configure(settings: Any, url: str, **members: Any) -> None:
    entry = {"key": "pager", "url": url, "method": "POST", "token": "tkn", "alerts": True}
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([{**entry, **members}])
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORBIT_DISPATCH_BACKOFF_BASE = 0.01
    settings.ORBIT_DISPATCH_BACKOFF_CAP = 0.02


def observe(look: Look) -> None:
    evaluate.apply(Condition.ENDPOINT_DOWN, look, send.channels())


def send_all() -> None:
    while Notification.objects.filter(status="pending").exists():
        Notification.objects.filter(status="pending").update(next_attempt_at="2020-01-01T00:00Z")
        send.send_due()


def test_an_alert_reaches_its_endpoint_signed_once_when_it_opens_and_once_when_it_closes(
    settings: Any,
) -> None:
    with Receiver(OK) as pager:
        configure(settings, pager.url, signing_secret=SECRET)
        for look in (SEEN, SEEN, Look.of([]), Look.of([])):
            observe(look)
            send_all()
        opened, closed = pager.requests
    assert [json.loads(request.body)["type"] for request in (opened, closed)] == [
        "alert.opened",
        "alert.closed",
    ]
    body = json.loads(opened.body)
    assert (body["summary"], body["namespace"], body["condition"]) == (
        "aurora is down",
        "a",
        "endpoint_down",
    )
    headers = opened.headers
    assert headers["authorization"] == "Bearer tkn"
    assert headers["webhook-id"] == headers["idempotency-key"] != closed.headers["webhook-id"]
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + opened.body
    digest = hmac.new(bytes(range(24)), content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_failed_attempt_is_repeated_under_the_same_id_with_the_same_bytes(settings: Any) -> None:
    with Receiver(UNAVAILABLE, UNAVAILABLE, OK) as pager:
        configure(settings, pager.url)
        observe(SEEN)
        send_all()
        first, *others = pager.requests
    assert len(others) == 2
    assert {(other.headers["webhook-id"], other.body) for other in others} == {
        (first.headers["webhook-id"], first.body)
    }
    assert Notification.objects.get().attempts == 3


def test_a_receiver_that_is_gone_ends_it_and_the_console_shows_it(settings: Any) -> None:
    with Receiver(GONE) as pager:
        configure(settings, pager.url)
        observe(SEEN)
        send_all()
        assert len(pager.requests) == 1
    assert [message.last_error for message in notifications.failed()] == ["HTTP 410"]


def test_slow_receivers_have_one_turn_in_a_round_and_delay_no_other_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "LONGEST_SECONDS", 0.2)
    names = [f"e{number}" for number in range(6)]
    with Receiver(silent) as one, Receiver(silent) as two, Receiver(OK) as pager:
        entry = {"method": "POST", "token": "tkn", "alerts": True}
        urls = {"one": one.url, "two": two.url, "pager": pager.url}
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
            [{**entry, "key": key, "url": url} for key, url in urls.items()]
        )
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
        observe(Look.of([Observation(name, f"{name} is down") for name in names]))
        pings: list[bool] = []
        assert send.send_due(between=lambda: pings.append(True)) == len(names) + 2
    assert [len(receiver.requests) for receiver in (one, two, pager)] == [1, 1, len(names)]
    assert len(pings) == len(names) + 3
    assert Notification.objects.filter(status="delivered").count() == len(names)


def test_a_receiver_that_answers_slowly_has_one_turn_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "SLOW_SECONDS", -1.0)
    with Receiver(OK) as pager:
        configure(settings, pager.url)
        observe(Look.of([Observation(name, f"{name} is down") for name in ("a", "b")]))
        assert [send.send_due() for _ in range(3)] == [1, 1, 0]


def test_retries_end(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "MAX_RETRIES", 2)
    with Receiver(UNAVAILABLE) as pager:
        configure(settings, pager.url)
        observe(SEEN)
        send_all()
        assert len(pager.requests) == 3
    assert notifications.failed().count() == 1


def test_a_message_that_kills_its_sender_is_given_up(settings: Any) -> None:
    with Receiver(OK) as pager:
        configure(settings, pager.url)
        observe(SEEN)
        Notification.objects.update(attempts=send.MAX_RETRIES + 1)
        send_all()
        assert not pager.requests
    assert [row.last_error for row in notifications.failed()] == ["its sender died in each attempt"]


def test_an_address_that_orbit_refuses_gets_nothing(settings: Any) -> None:
    with Receiver(OK) as pager:
        configure(settings, pager.url)
        observe(SEEN)
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["198.51.100.7"]
        configure(settings, "https://198.51.100.7/")
        settings.ORBIT_DISPATCH_ENDPOINTS = settings.ORBIT_DISPATCH_ENDPOINTS.replace(
            '"alerts": true', '"alerts": false'
        )
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["198.51.100.7"]
        send_all()
        assert not pager.requests
    assert "not marked" in notifications.failed().get().last_error


def test_without_a_channel_alerts_are_kept_and_nothing_is_sent(settings: Any) -> None:
    configure(settings, "http://127.0.0.1:9/", alerts=False)
    observe(SEEN)
    assert not Notification.objects.exists()


def test_e_mail_says_what_and_what_to_do(settings: Any) -> None:
    settings.ORBIT_ALERT_EMAILS = ["ops@example.com"]
    observe(Look.of([Observation("aurora\r\nBcc: x@example.com", "aurora is down")]))
    send_all()
    (message,) = mail.outbox
    assert message.to == ["ops@example.com"]
    assert message.subject == "[Orbit] Alert: An endpoint is down: aurora Bcc: x@example.com"
    assert "What to do: Call its owner." in message.body
    assert str(Notification.objects.get().pk) in message.extra_headers["Message-ID"]


def test_a_mail_server_that_refuses_is_tried_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    settings.ORBIT_ALERT_EMAILS = ["ops@example.com"]
    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    observe(SEEN)
    send.send_due()
    assert "SMTPServerDisconnected" in notifications.late().get().last_error


def evaluated() -> None:
    evaluate.evaluate({}, [])


def test_each_evaluation_earns_one_ping(settings: Any) -> None:
    with Receiver(OK) as monitor:
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
        settings.ORBIT_HEARTBEAT_URL = monitor.url
        assert not heartbeat.ping_if_due()  # nothing was evaluated yet
        evaluated()
        assert [heartbeat.ping_if_due() for _ in range(3)] == [True, False, False]
        AlertWatch.objects.update(pinged_at="2020-01-01T00:00Z")
        assert heartbeat.ping_if_due()
        # The clock went back.
        AlertWatch.objects.update(pinged_at="2120-01-01T00:00Z")
        assert [heartbeat.ping_if_due() for _ in range(2)] == [True, False]
        assert [request.line for request in monitor.requests] == ["GET /hook HTTP/1.1"] * 3
    assert AlertWatch.objects.get().ping_error == ""


def test_a_ping_that_fails_is_on_record_without_the_address(settings: Any) -> None:
    secret = "a-secret-of-the-monitor"
    with Receiver(UNAVAILABLE) as monitor:
        settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
        settings.ORBIT_HEARTBEAT_URL = f"http://127.0.0.1:{monitor.port}/{secret}"
        evaluated()
        heartbeat.ping_if_due()
    watch = AlertWatch.objects.get()
    assert (watch.ping_error, watch.ping_succeeded_at) == ("HTTP 503", None)
    assert secret not in watch.ping_error


def test_without_an_address_nothing_is_pinged() -> None:
    evaluated()
    assert not heartbeat.ping_if_due()
