"""Signatures of sent requests, verified by the stock library of Standard Webhooks."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import hmac_data

from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Delivery, Endpoint
from orbit.outbound import client
from tests.support.pipeline import configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Received, Receiver, http

OLD, NEW = (
    "whsec_" + base64.b64encode(bytes(range(first, first + 32))).decode() for first in (0, 100)
)
STRANGER = "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()
BODY = '{"text": "größer", "n": 1e400, "n": 1}\n'.encode()


def configured(settings: Any, url: str, **members: Any) -> None:
    entry = {"key": "default-endpoint", "url": url, "token": "token", **members}
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([entry])
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORBIT_DISPATCH_BACKOFF_BASE = 1.1


@pytest.fixture
def requests(settings: Any, committed: str) -> Iterator[list[Received]]:
    """The requests of one cycle under two secrets; the first of them had to be sent twice."""
    with Receiver(http("503 Later"), OK) as receiver:
        configured(settings, receiver.url, signing_secret=f"{NEW} {OLD}")
        configure_profiles()
        assert run_cycle(start_cycle(body=BODY)).status == "success"
        yield receiver.requests


def test_every_request_is_verified_under_either_secret_and_no_other(
    requests: list[Received],
) -> None:
    assert len(requests) == 4
    for request in requests:
        assert request.body == BODY
        for secret in (OLD, NEW):
            assert Webhook(secret).verify(request.body, request.headers)["text"] == "größer"
        with pytest.raises(WebhookVerificationError, match="No matching"):
            Webhook(STRANGER).verify(request.body, request.headers)


def test_a_changed_body_id_or_time_is_detected(requests: list[Received]) -> None:
    request, hook = requests[0], Webhook(NEW)
    later = str(int(request.headers["webhook-timestamp"]) + 1)
    for body, change in (
        (request.body + b" ", {}),
        (request.body, {"webhook-id": "another"}),
        (request.body, {"webhook-timestamp": later}),
    ):
        with pytest.raises(WebhookVerificationError, match="No matching"):
            hook.verify(body, {**request.headers, **change})


def test_a_retry_is_signed_at_its_own_time_under_the_same_id(requests: list[Received]) -> None:
    (retry,) = [
        request
        for request in requests[1:]
        if request.headers["webhook-id"] == requests[0].headers["webhook-id"]
    ]
    assert int(retry.headers["webhook-timestamp"]) > int(requests[0].headers["webhook-timestamp"])
    assert retry.headers["webhook-signature"] != requests[0].headers["webhook-signature"]
    assert retry.headers["idempotency-key"] == retry.headers["webhook-id"]
    assert "." not in retry.headers["webhook-id"]


@pytest.mark.parametrize(("seconds", "why"), [(-600, "too old"), (600, "too new")])
def test_a_wrong_clock_is_detected(seconds: int, why: str) -> None:
    with Receiver() as receiver:
        endpoint = Endpoint("a", receiver.url, "token", signing_secret=NEW)
        request = endpoints.build_request(
            endpoint, Delivery("id-1", "application/json", 1), b"{}", now=time.time() + seconds
        )
        assert client.send(request, allowed=["127.0.0.1"]).status == 200
        with pytest.raises(WebhookVerificationError, match=why):
            Webhook(NEW).verify(b"{}", receiver.requests[0].headers)


def test_bytes_that_are_not_text_are_signed_unchanged() -> None:
    # The stock library takes text alone, so the same sum is made by its own function over the very
    # bytes.
    body = b"\xff\x00\xfe"
    with Receiver() as receiver:
        request = endpoints.build_request(
            Endpoint("a", receiver.url, "token", signing_secret=NEW),
            Delivery("id-1", "application/octet-stream", 1),
            body,
        )
        assert client.send(request, allowed=["127.0.0.1"]).status == 200
        headers = receiver.requests[0].headers
    digest = hmac_data(
        base64.b64decode(NEW.removeprefix("whsec_")),
        f"id-1.{headers['webhook-timestamp']}.".encode() + body,
    )
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.usefixtures("committed")
def test_without_a_secret_there_is_an_id_and_no_signature(settings: Any) -> None:
    with Receiver() as receiver:
        configured(settings, receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        assert {"webhook-signature", "webhook-timestamp"}.isdisjoint(receiver.requests[0].headers)
        assert receiver.requests[0].headers["webhook-id"]
