"""ULIDs: their order, their texts, their time."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from governance.kernel import clock, ulid
from tests.support.threads import at_once

_TIME_LENGTH = 10


def ms(text: str) -> int:
    """Return the milliseconds of a ULID."""
    number = 0
    for digit in text[:_TIME_LENGTH]:
        number = number * 32 + ulid.ALPHABET.index(digit)
    return number


def test_those_of_one_process_increase_whoever_makes_them() -> None:
    before = int(clock.timestamp() * 1000)
    made = [ulid.make() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(ulid.check(text) == text for text in (made[0], made[-1]))
    # They may run ahead of the clock when many are made at once.
    assert before <= ms(made[0]) <= ms(made[-1])
    lists = at_once(*[lambda: [ulid.make() for _ in range(500)]] * 8)
    assert all(own == sorted(own) for own in lists)
    assert len({text for own in lists for text in own} | set(made)) == 9_000


def test_a_clock_that_goes_back_a_bit_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.timestamp() + 3_600
    times = iter([now, now - 5, now - 9.9, now + 0.001])
    monkeypatch.setattr(clock, "timestamp", lambda: next(times))
    made = [ulid.make() for _ in range(4)]
    assert made == sorted(set(made))
    assert ms(made[2]) == ms(made[0]) == int(now * 1000)


def test_a_clock_that_was_far_wrong_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.timestamp() + 7_200
    monkeypatch.setattr(clock, "timestamp", lambda: now)
    ulid.make()
    monkeypatch.setattr(clock, "timestamp", lambda: now - 3_600)
    assert ms(ulid.make()) == int((now - 3_600) * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 25,
        "0" * 27,
        "8" + "0" * 25,  # over 128 bits
        *("0" * 25 + letter for letter in "ILOUilou-+ \n"),
        "0" * 25 + "０",  # a full-width digit
        "0" * 25 + "ſ",  # its capital is an S
        "0" * 24 + "ß",  # its capital is two letters
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a ULID"):
        ulid.check(text)


def test_small_letters_mean_the_same() -> None:
    assert ulid.check("01k0abcdefghjkmnpqrstvwxyz") == "01K0ABCDEFGHJKMNPQRSTVWXYZ"


def test_a_ulid_is_the_uuid_of_its_bits_and_has_its_time() -> None:
    assert ulid.to_uuid("01hk153x00" + "0" * 16) == UUID("018cc251-f400-0000-0000-000000000000")
    assert ulid.moment_of("01HK153X00" + "0" * 16) == datetime(2024, 1, 1, tzinfo=UTC)
    assert ulid.moment_of("7" + "Z" * 25) is None  # the year 10889
    assert ulid.moment_of("U" * 26) is None
    assert ulid.moment_of("") is None
