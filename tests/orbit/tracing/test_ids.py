"""The ids of a cycle's trace."""

from uuid import UUID

import pytest

from orbit.tracing import ids

CYCLE = UUID("01930000-0000-7000-8000-000000000001")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_has_the_id_of_its_cycle_and_the_same_spans_everywhere() -> None:
    first, second = ids.of_cycle(CYCLE, None), ids.of_cycle(CYCLE, None)
    assert first.id == CYCLE.int
    keys: list[ids.Key] = [(), ("stage", "dispatch"), ("tier", 1, 1), ("tier", 1, 2), ("tier", 11)]
    assert [first.span_id(key) for key in keys] == [second.span_id(key) for key in keys]
    assert len({first.span_id(key) for key in keys}) == len(keys)
    assert first.header((), sampled=True) == f"00-{CYCLE.hex}-{first.span_id(()):016x}-01"


def test_a_trace_continues_its_callers() -> None:
    trace = ids.of_cycle(CYCLE, CALLER)
    assert (trace.id, trace.caller) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert trace.sampled
    assert not ids.of_cycle(CYCLE, CALLER[:-2] + "00").sampled


@pytest.mark.parametrize(
    ("received", "kept"),
    [
        (CALLER, CALLER),
        (f" {CALLER} ", CALLER),
        (CALLER.replace("00-", "cc-", 1) + "-what-comes-later", CALLER),
        (CALLER + "-more", None),
        (CALLER.upper(), None),
        (CALLER.replace("00-", "ff-", 1), None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", None),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_only_what_the_standard_allows_is_kept(received: str | None, kept: str | None) -> None:
    assert ids.accepted(received) == kept
