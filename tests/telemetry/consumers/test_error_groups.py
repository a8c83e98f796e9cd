"""Equal errors of a day are one row with a count."""

import random

import pytest

from tests.support.task_events import at, event, rows, store

GROUPS = "SELECT stage, message, count FROM telemetry_errorgroup ORDER BY stage, message"


def error(seconds: float, message: str, number: int = 0, **columns: object) -> tuple:  # type: ignore[type-arg]
    return event("error", seconds, number, metadata={"message": message}, **columns)


@pytest.mark.django_db(databases="__all__")
def test_a_flood_of_equal_errors_is_one_row() -> None:
    store(*(error(n, "no table", stage="load") for n in range(1000)))
    store(error(2000, "no table", stage="load"))
    assert rows("SELECT count, first_seen, last_seen FROM telemetry_errorgroup") == [
        (1001, at(0), at(2000))
    ]


@pytest.mark.django_db(databases="__all__")
def test_different_stages_never_merge() -> None:
    store(error(1, "m", stage="a"), error(2, "m", stage="b"), error(3, "m"), error(4, "m"))
    assert rows(GROUPS) == [("a", "m", 1), ("b", "m", 1), (None, "m", 2)]


@pytest.mark.django_db(databases="__all__")
def test_namespaces_messages_and_days_are_apart() -> None:
    day = 86400
    store(error(1, "m", namespace="eu"), error(1, "m", namespace="us"), error(1, "m"))
    store(error(1, "M"), error(1 + day, "m"))
    assert rows("SELECT count(*), sum(count) FROM telemetry_errorgroup") == [(5, 5)]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("seed", range(3))
def test_the_sample_is_the_earliest_event(seed: int) -> None:
    errors = [error(n // 2, "m", n + 1, session_id=f"s{n}") for n in range(20)]
    random.Random(seed).shuffle(errors)
    for each in errors:
        store(each)
    assert rows(
        "SELECT sample->>'session_id', sample->'metadata'->>'message', count,"
        " (sample->>'occurred_at')::timestamptz FROM telemetry_errorgroup"
    ) == [("s0", "m", 20, at(0))]


@pytest.mark.django_db(databases="__all__")
def test_a_message_longer_than_an_index_entry_is_kept_whole() -> None:
    message = "".join(random.Random(1).choices("abcdefghij", k=50_000))
    store(error(1, message), error(2, message))
    assert rows("SELECT message, count FROM telemetry_errorgroup") == [(message, 2)]
