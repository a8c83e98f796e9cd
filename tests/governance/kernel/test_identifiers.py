"""Time-ordered identifiers."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from governance.kernel import clock
from governance.kernel.identifiers import moment_of, uuid7, uuid7_floor


def milliseconds(value: uuid.UUID) -> int:
    return value.int >> 80


def test_an_id_is_a_version_7_of_this_moment() -> None:
    before = clock.timestamp()
    identifier = uuid7()
    assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
    assert before - 0.001 <= milliseconds(identifier) / 1000 <= clock.timestamp()


def test_ids_of_one_thread_increase_and_those_of_many_are_distinct() -> None:
    def make(_: int) -> list[str]:
        return [str(uuid7()) for _ in range(20_000)]

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(make, range(4)))
    assert all(ids == sorted(ids) for ids in batches)
    assert len({identifier for ids in batches for identifier in ids}) == 80_000


def test_a_clock_that_goes_back_a_bit_makes_no_smaller_id(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    back = clock.timestamp() - 5
    monkeypatch.setattr(clock, "timestamp", lambda: back)
    later = uuid7()
    assert later > first
    assert milliseconds(later) >= milliseconds(first)


@pytest.mark.parametrize("days", [400, -70], ids=["ahead", "behind"])
def test_one_wrong_reading_does_not_spoil_later_ids(
    monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    right = clock.timestamp()
    for reading in (right + days * 86400, right):
        monkeypatch.setattr(clock, "timestamp", lambda reading=reading: reading)
        assert milliseconds(uuid7()) == pytest.approx(reading * 1000, abs=1)


def test_a_forked_child_makes_other_ids_than_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    # Only the random parts can differ.
    moment = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: moment)
    uuid7()
    pid = os.fork()
    if not pid:
        os.write(writer, b"".join(uuid7().bytes for _ in range(200)))
        os._exit(0)
    own_ids = {uuid7().bytes for _ in range(200)}
    data = os.read(reader, 200 * 16)
    os.waitpid(pid, 0)
    assert len(own_ids | {data[at : at + 16] for at in range(0, len(data), 16)}) == 400


def test_the_random_part_of_each_id_is_another() -> None:
    tails = {uuid7().int & ((1 << 48) - 1) for _ in range(5_000)}
    assert len(tails) == 5_000


def test_a_floor_bounds_the_ids_of_its_moment() -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    assert milliseconds(uuid7_floor(moment)) == moment.timestamp() * 1000
    assert uuid7_floor(moment) < uuid7()


def test_the_time_of_an_id_is_read_back_if_it_has_one() -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    assert moment_of(uuid7_floor(moment)) == moment
    # Callers' ids begin with anything: every tenth random one with a year beyond 9999.
    assert moment_of(uuid.UUID("ffffffff-ffff-4fff-8fff-ffffffffffff")) is None
