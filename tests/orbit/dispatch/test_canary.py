import pytest

from orbit.dispatch import canary
from orbit.dispatch.canary import Fate


@pytest.mark.parametrize(
    ("status", "letter", "age", "fate", "words"),
    [("delivered", "requeued", 1, Fate.WELL, ""), ("cancelled", "delivered_late", 1, Fate.WELL, ""), ("pending", "requeued", 599, Fate.WAITS, "pending: 503"),
     ("sending", "requeued", 1, Fate.WAITS, "sending"), ("pending", "requeued", 601, Fate.STOP, "within 10 minutes"),
     ("dead", "requeued", 1, Fate.STOP, "the canary died (gone: 503); nothing else"), ("cancelled", "requeued", 1, Fate.STOP, "cancelled")],
)  # fmt: skip
def test_the_rest_follows_a_canary_that_was_delivered_and_no_other(
    status: str, letter: str, age: float, fate: Fate, words: str
) -> None:
    verdict = canary.judge(status, "503", letter, "gone", age)
    assert (verdict.fate, words in verdict.note) == (fate, True)


def test_deaths_in_a_row_are_counted_over_looks_and_a_delivery_ends_the_row() -> None:
    assert canary.streak(0, ["dead"] * 9 + ["delivered"] + ["dead"] * 3) == 3
    assert canary.streak(8, ["dead", "dead", "delivered"]) == 10
    assert canary.streak(4, []) == 4
