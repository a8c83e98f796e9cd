"""What an answer means, as a table."""

from datetime import UTC, datetime

import pytest

from orbit.dispatch import outcome
from orbit.dispatch.outcome import Dead, Delivered, Retry, RetryPolicy
from orbit.outbound.client import Response
from orbit.states import Attempt, Job

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def answer(
    status: int | None = None,
    error_class: str | None = None,
    *,
    was_sent: bool | None = True,
    retry_after: str | None = None,
) -> Response:
    return Response(status, error_class, "", b"", retry_after, 1.0, was_sent, None)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert outcome.classify(answer(status), permanent=(410,)) == Delivered()
    assert outcome.attempt_status(answer(status)) == Attempt.DELIVERED


@pytest.mark.parametrize(
    "status", [100, 301, 304, 400, 401, 404, 408, 413, 422, 429, 500, 503, 599]
)
def test_everything_else_is_tried_again(status: int) -> None:
    assert outcome.classify(answer(status), permanent=(410,)) == Retry()
    assert outcome.attempt_status(answer(status)) == Attempt.FAILED


def test_a_410_and_the_statuses_of_the_endpoint_are_permanent() -> None:
    assert outcome.classify(answer(410), permanent=(410,)) == Dead("status_410")
    assert outcome.classify(answer(422), permanent=(410, 422)) == Dead("status_422")
    assert outcome.classify(answer(410), permanent=()) == Retry()


def test_a_refusal_by_orbit_is_permanent() -> None:
    assert outcome.classify(answer(None, "refused", was_sent=False), permanent=()) == Dead(
        "address_refused"
    )


@pytest.mark.parametrize(
    ("error_class", "was_sent", "status"),
    [
        ("timeout", True, Attempt.UNKNOWN),
        ("reset", True, Attempt.UNKNOWN),
        ("bad_response", True, Attempt.UNKNOWN),
        ("dns", False, Attempt.FAILED),
        ("connect", False, Attempt.FAILED),
        ("timeout", None, Attempt.UNKNOWN),
    ],
)
def test_without_an_answer_only_proof_that_nothing_left_makes_it_certain(
    error_class: str, was_sent: bool | None, status: Attempt
) -> None:
    assert outcome.attempt_status(answer(None, error_class, was_sent=was_sent)) == status


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("007", 7.0),
        ("99999999999", 1e9),
        ("9" * 400, 1e9),
        ("9" * 5000, 1e9),
        ("9" * 60_000, 1e9),
        ("0" * 5000 + "5", 5.0),
        ("7, 9", 9.0),  # two headers
        ("9," + "9" * 5000, 1e9),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Saturday, 21-Nov-26 12:00:30 GMT", 30.0),
        ("Sat Nov 21 12:00:30 2026", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        (None, None),
        ("", None),
        (" ", None),
        (",", None),
        ("7,", None),
        ("7, soon", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("1_000", None),
        ("0x10", None),
        ("7 s", None),
        ("soon", None),
        ("３", None),
        ("Sat, 21 Nov 2026 11:59:30 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Fri, 31 Dec " + "9" * 5000 + " 23:59:59 GMT", None),
        ("Sat, 21 Nov 2026 12:00:30 GMT, Sat, 21 Nov 2026 12:00:40 GMT", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_retry_after_is_read_as_seconds_or_date_and_ignored_when_it_is_neither(
    value: str | None, seconds: float | None
) -> None:
    assert outcome.retry_after(value, now=NOW) == seconds


def test_retries_wait_three_times_as_long_each_time_and_no_longer_than_the_cap() -> None:
    waits = [outcome.decide(Retry(), RetryPolicy(n, 9, 2, 300)).wait for n in range(9)]
    for n, wait in enumerate(waits):
        middle = min(300, 2 * 3**n)
        assert wait is not None
        assert 0.8 * middle <= wait <= 1.2 * middle


def test_a_receiver_may_ask_for_a_longer_wait_but_not_beyond_the_cap() -> None:
    assert outcome.decide(Retry(after=120), RetryPolicy(0, 3, 2, 300)).wait == 120
    assert outcome.decide(Retry(after=86400), RetryPolicy(0, 3, 2, 300)).wait == 300
    wait = outcome.decide(Retry(after=0.1), RetryPolicy(0, 3, 2, 300)).wait
    assert wait is not None
    assert wait >= 1.6


def test_the_retries_count_after_the_first_attempt() -> None:
    assert [outcome.decide(Retry(), RetryPolicy(n, 3, 1, 1)).status for n in range(4)] == [
        Job.PENDING
    ] * 3 + [Job.DEAD]
    assert outcome.decide(Retry(), RetryPolicy(0, 0, 1, 1)).reason == "retries_exhausted"
