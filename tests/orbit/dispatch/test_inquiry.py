"""Asking before sending again: what the receiver says decides, and where it can't be asked the endpoint's own rule does."""

import json
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.dispatch import dead_letters
from orbit.models import DeadLetterDispatch
from tests.support import dispatch
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
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


def unsure(settings: Any, url: str, desk: str | None, **members: Any) -> None:
    configure_endpoints(settings, default_endpoint=url)
    (entry,) = json.loads(settings.ORBIT_DISPATCH_ENDPOINTS)
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [{**entry, **({"inquiry_url": f"{desk}/{{id}}?of=orbit"} if desk else {}), **members}]
    )
    configure_profiles(ONE_ITEM)


def attempts() -> list[tuple[Any, ...]]:
    return rows("SELECT status FROM orbit_deliveryreceipt ORDER BY attempt")


def test_a_receiver_that_holds_it_is_not_sent_it_again(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as desk:
        unsure(settings, receiver.url, desk.url)
        run_cycle(start_cycle(body=BODY))
    (request,) = desk.requests
    key = receiver.requests[0].headers["idempotency-key"]
    assert request.line == f"GET /hook/{key}?of=orbit HTTP/1.1"
    assert request.headers["authorization"] == "Bearer token-of-default_endpoint"
    assert len(receiver.requests) == 1
    assert attempts() == [("delivered",), ("unsent",)]
    assert rows("SELECT status, attempts, spent FROM orbit_dispatchjob") == [("delivered", 2, 1)]


def test_one_that_has_it_not_is_sent_it_again_under_the_same_key(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("404 No")) as desk:
        unsure(settings, receiver.url, desk.url, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert len({request.headers["idempotency-key"] for request in receiver.requests}) == 1
    assert (len(receiver.requests), len(desk.requests)) == (2, 1)
    assert attempts() == [("unknown",), ("delivered",)]


def test_one_that_does_not_tell_is_sent_it_again(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("500 No")) as desk:
        unsure(settings, receiver.url, desk.url)
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(desk.requests)) == (2, 1)
    assert attempts() == [("unknown",), ("delivered",)]


def test_with_hold_one_that_does_not_tell_is_asked_again_and_then_left_to_a_person(
    settings: Any,
) -> None:
    with Receiver(close, OK) as receiver, Receiver(http("500 No")) as desk:
        unsure(settings, receiver.url, desk.url, on_unknown="hold")
        settings.ORBIT_MAX_DISPATCH_RETRIES = 2
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(desk.requests)) == (1, 2)
    letter = DeadLetterDispatch.objects.get()
    assert (letter.reason, letter.last_error) == (
        "outcome_unknown",
        "the inquiry brought no answer: HTTP 500",
    )


def test_with_hold_and_nobody_to_ask_it_is_dead_at_once(settings: Any) -> None:
    with Receiver(close, OK) as receiver:
        unsure(settings, receiver.url, None, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert len(receiver.requests) == 1
    assert DeadLetterDispatch.objects.get().reason == "outcome_unknown"
    assert attempts() == [("unknown",)]


def test_with_hold_what_certainly_failed_is_sent_again(settings: Any) -> None:
    with Receiver(http("500 No"), OK) as receiver:
        unsure(settings, receiver.url, None, on_unknown="hold")
        run_cycle(start_cycle(body=BODY))
    assert attempts() == [("failed",), ("delivered",)]


def test_after_the_last_attempt_the_receiver_is_asked_before_the_job_is_given_up(
    settings: Any,
) -> None:
    with Receiver(close) as receiver, Receiver(http("404 No"), http("404 No"), OK) as desk:
        unsure(settings, receiver.url, desk.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 2
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(desk.requests)) == (3, 3)
    assert rows("SELECT status FROM orbit_dispatchjob") == [("delivered",)]
    assert attempts() == [("unknown",), ("unknown",), ("delivered",), ("unsent",)]
    assert DeadLetterDispatch.objects.count() == 0


def test_and_where_it_has_it_not_the_job_is_dead_without_another_request(settings: Any) -> None:
    with Receiver(close) as receiver, Receiver(http("404 No")) as desk:
        unsure(settings, receiver.url, desk.url)
        settings.ORBIT_MAX_DISPATCH_RETRIES = 1
        run_cycle(start_cycle(body=BODY))
    assert (len(receiver.requests), len(desk.requests)) == (2, 2)
    assert DeadLetterDispatch.objects.get().reason == "retries_exhausted"


def test_a_requeue_asks_about_the_attempt_that_nobody_knows_the_end_of(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as desk:
        unsure(settings, receiver.url, None, on_unknown="hold")
        cycle_id = start_cycle(body=BODY)
        run_cycle(cycle_id)
        letter = DeadLetterDispatch.objects.get(reason="outcome_unknown")
        unsure(settings, receiver.url, desk.url)
        dead_letters.requeue(letter.pk, actor=SYSTEM, reason="again", endpoint="current")
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(desk.requests)) == (1, 1)
    assert (
        desk.requests[0].line
        == f"GET /hook/{receiver.requests[0].headers['idempotency-key']}?of=orbit HTTP/1.1"
    )
    assert rows("SELECT status FROM orbit_deliveryreceipt ORDER BY started_at") == [
        ("delivered",),
        ("unsent",),
    ]
    assert rows("SELECT status FROM orbit_dispatchjob ORDER BY id") == [("dead",), ("delivered",)]


def test_a_requeue_under_a_new_key_has_nothing_to_ask_about(settings: Any) -> None:
    with Receiver(close, OK) as receiver, Receiver(OK) as desk:
        unsure(settings, receiver.url, None, on_unknown="hold")
        cycle_id = start_cycle(body=BODY)
        run_cycle(cycle_id)
        unsure(settings, receiver.url, desk.url)
        dead_letters.requeue(
            DeadLetterDispatch.objects.get().pk,
            actor=SYSTEM,
            reason="again",
            endpoint="current",
            new_key=True,
        )
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(desk.requests)) == (2, 0)


def test_an_attempt_whose_worker_was_lost_is_asked_about_too(settings: Any) -> None:
    from django.db import connection

    from orbit.cycles import lease

    with Receiver(OK) as receiver, Receiver(OK) as desk:
        unsure(settings, receiver.url, desk.url)
        cycle_id = start_cycle(body=BODY)
        (work,) = lease.claim(1)
        dispatch.enqueue_deliveries(work)
        assert len(dispatch.claim_jobs(work, limit=9, worker="w")) == 1
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orbit_cyclerun SET lease_expires_at = now(), next_due_at = now()"
            )
        run_cycle(cycle_id)
    assert (len(receiver.requests), len(desk.requests)) == (0, 1)
    assert attempts() == [("delivered",), ("unsent",)]
