import pytest

from orbit.dispatch import canary
from orbit.dispatch.canary import CanaryState

P, D, F = CanaryState.PENDING, CanaryState.DELIVERED, CanaryState.FAILED


@pytest.mark.parametrize(
    ("status", "letter", "age", "state", "words"),
    [
        ("delivered", "requeued", 1, D, ""),
        ("cancelled", "delivered_late", 1, D, ""),
        ("pending", "requeued", 599, P, "pending: 503"),
        ("sending", "requeued", 1, P, "sending"),
        ("pending", "requeued", 601, F, "within 10 minutes"),
        ("dead", "requeued", 1, F, "the canary died (gone: 503); nothing else"),
        ("cancelled", "requeued", 1, F, "cancelled"),
    ],
)
def test_the_rest_follows_a_canary_that_was_delivered_and_no_other(
    status: str, letter: str, age: float, state: CanaryState, words: str
) -> None:
    result = canary.classify(status, "503", letter, "gone", age)
    assert (result.state, words in result.note) == (state, True)


def test_deaths_in_a_row_are_counted_over_looks_and_a_delivery_ends_the_row() -> None:
    assert canary.dead_in_a_row(0, ["dead"] * 9 + ["delivered"] + ["dead"] * 3) == 3
    assert canary.dead_in_a_row(8, ["dead", "dead", "delivered"]) == 10
    assert canary.dead_in_a_row(4, []) == 4
