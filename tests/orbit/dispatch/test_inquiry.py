"""Before a delivery whose outcome is unknown is sent again, its receiver is asked."""

import json
import socket
from typing import Any

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from governance.namespaces import halts
from orbit import interrupts
from orbit.cycles import lease
from orbit.dispatch import dead_letters
from orbit.interrupts import WorkerState
from orbit.models import DeadLetterDispatch
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.receiver import OK, Receiver, close, http

pytestmark = pytest.mark.usefixtures("committed")
# No text: the tiers that would fill it into a template fail for good, and one item is left.
ONE_ITEM, BODY = (
    {
        str(tier): {"transformer": "template", "options": {"template": "$payload"}}
        for tier in (2, 3)
    },
    b"\xff",
)


def configure_inquiry(settings: Any, url: str, inquiry_desk: str | None, **members: Any) -> None:
    configure_endpoints(settings, default_endpoint=url)
    (entry,) = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [
            {
                **entry,
                **({"inquiry_url": f"{inquiry_desk}/{{id}}?of=orbit"} if inquiry_desk else {}),
                **members,
            }
        ]
    )
    configure_profiles(ONE_ITEM)


def attempts() -> list[tuple[Any, ...]]:
    return rows("SELECT status FROM orbit_deliveryreceipt ORDER BY attempt")


def test_a_delivery_that_the_receiver_has_is_not_sent_again(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        run_cycle(start_cycle(body=BODY))
    (request,) = inquiry_desk.requests
    key = receiver.requests[0].headers["idempotency-key"]
    assert request.line == f"GET /hook/{key}?of=orbit HTTP/1.1"
    assert request.headers["authorization"] == "Bearer token-of-default_endpoint"
    assert len(receiver.requests) == 1
    assert attempts() == [("delivered",), ("unsent",)]
    assert rows("SELECT status, attempts, spent FROM orbit_dispatchjob") == [("delivered", 2, 1)]


def test_a_delivery_that_the_receiver_does_not_have_is_sent_again_under_the_same_key(
    settings: Any,
) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("404 No")) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert len({request.headers["idempotency-key"] for request in receiver.requests}) == 1
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (2, 1)
    assert attempts() == [("unknown",), ("delivered",)]


def test_a_halt_during_the_inquiry_keeps_the_delivery_from_being_sent(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "process", WorkerState())

    def halted(sock: socket.socket) -> None:
        halts.halt("a", actor=SYSTEM)
        connection.close()
        for slot in interrupts.process.slots:
            slot.saw(is_open=False, read_at=interrupts.now())
        sock.sendall(http("404 No"))

    with Receiver(close, OK) as receiver, Receiver(halted, http("404 No")) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        cycle_id = start_cycle(body=BODY)
        until(lambda: (run_due(seconds=0.2), inquiry_desk.requests)[1], "no inquiry")
        assert len(receiver.requests) == 1
        assert attempts() == [("unknown",), ("unsent",)]
        halts.resume("a", actor=SYSTEM, reason="it is dry")
        assert run_cycle(cycle_id).status == "partial_success"
    assert len(receiver.requests) == 2


def test_without_a_usable_answer_the_delivery_is_sent_again(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("500 No")) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (2, 1)
    assert attempts() == [("unknown",), ("delivered",)]


def test_with_hold_the_inquiry_is_repeated_and_then_left_to_an_operator(
    settings: Any,
) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("500 No")) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url, on_unknown="hold")
        settings.ORBIT_MAX_DISPATCH_RETRIES = 2
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (1, 2)
    letter = DeadLetterDispatch.objects.get()
    assert (letter.reason, letter.last_error) == (
        "outcome_unknown",
        "the inquiry brought no answer: HTTP 500",
    )


def test_with_hold_and_no_inquiry_url_the_job_is_dead_at_once(settings: Any) -> None:
    with Receiver(close, OK) as receiver:
        configure_inquiry(settings, receiver.url, None, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert len(receiver.requests) == 1
    assert DeadLetterDispatch.objects.get().reason == "outcome_unknown"
    assert attempts() == [("unknown",)]


def test_with_hold_a_certain_failure_is_retried(settings: Any) -> None:
    with Receiver(http("500 No"), OK) as receiver:
        configure_inquiry(settings, receiver.url, None, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert attempts() == [("failed",), ("delivered",)]


def test_after_the_last_attempt_the_receiver_is_asked_before_the_job_is_given_up(
    settings: Any,
) -> None:
    with Receiver(close) as receiver, Receiver(http("404 No"), http("404 No"), OK) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 2
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (3, 3)
    assert rows("SELECT status FROM orbit_dispatchjob") == [("delivered",)]
    assert attempts() == [("unknown",), ("unknown",), ("delivered",), ("unsent",)]
    assert DeadLetterDispatch.objects.count() == 0


def test_after_the_last_attempt_a_404_to_the_inquiry_makes_the_job_dead(settings: Any) -> None:
    with Receiver(close) as receiver, Receiver(http("404 No")) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 1
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (2, 2)
    assert DeadLetterDispatch.objects.get().reason == "retries_exhausted"


def test_a_requeue_asks_about_the_attempt_whose_outcome_is_unknown(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as inquiry_desk:
        configure_inquiry(settings, receiver.url, None, on_unknown="hold")
        cycle_id = start_cycle(body=BODY)
        run_cycle(cycle_id)
        letter = DeadLetterDispatch.objects.get(reason="outcome_unknown")
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again", endpoint="current")
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (1, 1)
    assert (
        inquiry_desk.requests[0].line
        == f"GET /hook/{receiver.requests[0].headers['idempotency-key']}?of=orbit HTTP/1.1"
    )
    assert rows("SELECT status FROM orbit_deliveryreceipt ORDER BY started_at") == [
        ("delivered",),
        ("unsent",),
    ]
    assert rows("SELECT status FROM orbit_dispatchjob ORDER BY id") == [("dead",), ("delivered",)]


def test_a_requeue_under_a_new_key_asks_nothing(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as inquiry_desk:
        configure_inquiry(settings, receiver.url, None, on_unknown="hold")
        cycle_id = start_cycle(body=BODY)
        run_cycle(cycle_id)
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        dead_letters.requeue(
            DeadLetterDispatch.objects.get().pk,
            actor=SYSTEM,
            reason="again",
            endpoint="current",
            new_key=True,
        )
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (2, 0)


def test_the_receiver_is_asked_about_an_attempt_whose_worker_was_lost(settings: Any) -> None:
    with Receiver(OK) as receiver, Receiver(OK) as inquiry_desk:
        configure_inquiry(settings, receiver.url, inquiry_desk.url)
        cycle_id = start_cycle(body=BODY)
        (cycle,) = lease.claim(1)
        dispatch.enqueue_deliveries(cycle)
        assert len(dispatch.claim_jobs(cycle, limit=9, worker="w")) == 1
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(inquiry_desk.requests)) == (0, 1)
    assert attempts() == [("delivered",), ("unsent",)]
