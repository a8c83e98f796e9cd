"""What an answer's head says: interim answers, Retry-After and Location, on their whole way."""

import json

import pytest
from django.test import Client

from governance.kernel import clock
from orbit.models import DeadLetterDispatch, DeliveryReceipt, DispatchJob
from tests.support import callers
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.receiver import OK, Receiver, http, silent, then

pytestmark = pytest.mark.usefixtures("committed")

PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_an_interim_answer_before_a_2xx_is_a_delivery(settings) -> None:
    with Receiver(HINTS + OK, PROCESSING * 3 + OK, OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        assert len(receiver.requests) == 3
    assert {receipt.status_code for receipt in DeliveryReceipt.objects.all()} == {200}


def test_an_interim_answer_before_a_failure_or_silence_is_no_delivery(settings) -> None:
    with Receiver(PROCESSING + http("500 No"), then(PROCESSING, silent), OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        (endpoint,) = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
        settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps([{**endpoint, "read_timeout": 1}])
        configure_profiles()
        assert run_cycle(start_cycle()).status == "success"
        assert len({request.headers["idempotency-key"] for request in receiver.requests}) == 3
    results = DeliveryReceipt.objects.values_list("status", "status_code", "error_class")
    assert sorted(results, key=str) == [
        ("delivered", 200, None),
        ("delivered", 200, None),
        ("delivered", 200, None),
        ("failed", 500, None),
        ("unknown", None, "timeout"),
    ]


@pytest.mark.parametrize("asked", ["9" * 30, "9" * 5000])
def test_a_retry_after_of_many_digits_is_the_longest_wait_there_is(settings, asked: str) -> None:
    with Receiver(http("400 Later", b"", [f"Retry-After: {asked}"])) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        settings.ORBIT_DISPATCH_BACKOFF_CAP = 120
        configure_profiles()
        start_cycle()
        due = run_due(seconds=2)
    assert set(DispatchJob.objects.values_list("status", "attempts")) == {("pending", 1)}
    assert due is not None
    assert 60 < (due - clock.now()).total_seconds() <= 120


def test_where_a_receiver_redirects_to_is_on_the_receipt_and_the_dead_letter(settings) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    place = "Location: https://user:hush@new.example/v2/hook?key=hush"
    with Receiver(http("301 Moved", b"<a>here</a>", [place])) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle = run_cycle(start_cycle())
    receipt = DeliveryReceipt.objects.first()
    assert receipt is not None
    assert receipt.error == (
        "HTTP 301: the receiver redirects to https://new.example/v2/hook?..., and Orbit follows no"
        " redirect. If it moved, change the url."
    )
    assert receipt.response_excerpt == "<a>here</a>"
    assert DeadLetterDispatch.objects.values_list("last_error", flat=True)[0] == receipt.error
    browser = Client()
    browser.force_login(callers.create_user())
    page = browser.get(f"/admin/orbit/cyclerun/{cycle.pk}/change/?tab=deliveries").content.decode()
    answer = browser.get(f"/cycles/{cycle.pk}").content.decode()
    for shown in (page, answer):
        assert "https://new.example/v2/hook" in shown
        assert "hush" not in shown
