"""A stream is cut into events: NDJSON, arrays, objects; whatever is wrong in it."""

import gzip
import itertools
import json
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from telemetry.ingest import limits, splitting, unpacking
from telemetry.ingest.splitting import Piece
from telemetry.ingest.unpacking import TooMuch, Unreadable


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def cut(data: bytes, size: int = 1 << 18, *, is_lines: bool = False) -> list[Piece]:
    return list(splitting.pieces(chunked(data, size), is_lines=is_lines))


def texts(found: Iterable[Piece]) -> list[Any]:
    """Return the raw texts, or the codes of what is wrong."""
    return [str(p.problem.code) if p.problem else p.raw.strip().decode() for p in found]


OBJECT = '{"a": "]},[{\\"", "b": [1, {"c": "\\\\"}]}'
LONG = '{"a": "' + "x" * 100_000 + '"}'
BAD = "invalid_json"
CASES = {
    "": [],
    " \n\r\n": [],
    "[]": [],
    " [ ] ": [],
    "{}": ["{}"],
    OBJECT: [OBJECT],
    f"{OBJECT}\n{OBJECT}": [OBJECT, OBJECT],
    f"\r\n{OBJECT}\r\n\r\n{OBJECT}\r\n": [OBJECT, OBJECT],
    f"[{OBJECT},{OBJECT}]": [OBJECT, OBJECT],
    f" [\n {OBJECT} , {OBJECT}\n]\n": [OBJECT, OBJECT],
    '{\n "a": 1\n}': ['{\n "a": 1\n}'],
    '[1, "two, [", null, [3], {}]': ["1", '"two, ["', "null", "[3]", "{}"],
    f"x\n{OBJECT}": ["x", OBJECT],
    f'{{"a": \n{OBJECT}': ['{"a":', OBJECT],
    f'[{{"a" 1}}, {OBJECT}, tru, {OBJECT}]': ['{"a" 1}', OBJECT, "tru", OBJECT],
    f"[{OBJECT},,{OBJECT}]": [OBJECT, BAD, OBJECT],
    f"[{OBJECT} {OBJECT}]": [OBJECT, BAD],
    f"[{OBJECT}": [OBJECT, BAD],
    f'[{OBJECT},{{"a"': [OBJECT, BAD],
    f'[{OBJECT},"a\\': [OBJECT, BAD],
    f"[{OBJECT}] x\ny": [OBJECT, BAD],
    f"[{OBJECT}}},{OBJECT}]": [OBJECT, BAD, OBJECT],
    f"[{OBJECT},{LONG},{OBJECT}]": [OBJECT, "too_large", OBJECT],
    f"{OBJECT}\n{LONG}\n{OBJECT}": [OBJECT, "too_large", OBJECT],
    f"{LONG}": ["too_large"],
    f"{OBJECT}\n{OBJECT[:-5]}": [OBJECT, OBJECT[:-5]],
}


@pytest.mark.parametrize("text", CASES, ids=range(len(CASES)))
def test_a_stream_is_cut_the_same_whatever_its_chunks(text: str) -> None:
    data = text.encode()
    for size in (1, 2, 3, 7, 64, 1 << 18) if len(data) < 10_000 else (4_096, 1 << 18):
        assert texts(cut(data, size)) == CASES[text], size


def test_lines_are_numbered_and_blank_ones_counted() -> None:
    data = b"\n\n{}\n\n" + LONG.encode() + b"\n\r\n{}"
    for size in (1, 1 << 18):
        assert [piece.line for piece in cut(data, size)] == [3, 5, 7]


def test_ndjson_that_is_said_to_be_that_is_cut_at_its_lines_only() -> None:
    assert texts(cut(b'{"a":\n{}', is_lines=True)) == ['{"a":', "{}"]
    assert texts(cut(b'{\n{"b": 1}', is_lines=True)) == ["{", '{"b": 1}']


def test_a_long_line_is_read_past_in_constant_memory() -> None:
    pieces = splitting.pieces(
        itertools.chain([b"{}\n"], itertools.repeat(b"x" * 65_536, 1_600), [b"\n{}"]),
        is_lines=True,
    )
    assert texts(pieces) == ["{}", "too_large", "{}"]


def test_a_long_element_of_an_array_is_read_past() -> None:
    long = itertools.chain([b'[{},{"a":"'], itertools.repeat(b"\\n" * 30_000, 500), [b'"},{}]'])
    assert texts(splitting.pieces(long, is_lines=False)) == ["{}", "too_large", "{}"]


def test_array_and_lines_give_the_same_events() -> None:
    events = [{"n": n, "text": 'é"\\[{' * (n % 7), "list": [[n]]} for n in range(500)]
    lines = "\n".join(json.dumps(event, ensure_ascii=False) for event in events).encode()
    array = json.dumps(events, indent=1).encode()
    for size in (13, 1 << 18):
        assert [json.loads(piece.raw) for piece in cut(lines, size)] == events
        assert [json.loads(piece.raw) for piece in cut(array, size)] == events


DATA = b'{"a": 1}\n' * 50_000


@pytest.mark.parametrize("size", [1 << 18, 1_000])
def test_gzip_is_unpacked_of_several_members_and_with_padding(size: int) -> None:
    packed = gzip.compress(DATA) + gzip.compress(b"") + gzip.compress(b"end") + b"\0" * 600
    assert b"".join(unpacking.gunzip(chunked(packed, size))) == DATA + b"end"


def test_what_comes_before_a_break_is_given() -> None:
    packed = gzip.compress(DATA, 0)  # stored as it is, so the places of its bytes are known
    for broken, why in (
        (packed[:-30_000], "ends in the middle"),
        (packed[:-8] + b"\0" * 8, "incorrect data check"),
        (packed + b"rubbish", "header"),
    ):
        given = []
        with pytest.raises(Unreadable, match=why):
            given.extend(unpacking.gunzip(chunked(broken, 4_096)))
        assert len(b"".join(given)) > 150_000
        assert DATA.startswith(b"".join(given))


def bomb(mib: int) -> Iterator[bytes]:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(mib):
        yield pack.compress(b" " * (1 << 20))
    yield pack.flush()


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    given = 0
    with pytest.raises(TooMuch, match="500 times"):
        for piece in unpacking.gunzip(bomb(100)):
            assert len(piece) <= unpacking.CHUNK
            given += len(piece)
    assert given <= unpacking.RATIO_COUNTS_FROM
    with pytest.raises(TooMuch, match="8 MiB"):
        list(unpacking.gunzip(bomb(10), most=8 << 20))


def test_a_byte_order_mark_is_skipped() -> None:
    for size in (1, 2, 100):
        assert b"".join(unpacking.text(chunked(b"\xef\xbb\xbf{}\n", size))) == b"{}\n"
    assert b"".join(unpacking.text([b"{", b"}"])) == b"{}"
    assert list(unpacking.text([])) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_other_encodings_are_refused_with_the_way_out(encoding: str) -> None:
    for size in (1, 100):
        with pytest.raises(Unreadable, match="Out-File -Encoding utf8"):
            list(unpacking.text(chunked('{"a": 1}'.encode(encoding), size)))


def test_an_event_may_have_white_space_around_it_up_to_the_limit() -> None:
    text = b'{"a": "' + b"x" * (limits.LARGEST_EVENT - 9) + b'"}'
    assert len(text) == limits.LARGEST_EVENT
    assert texts(cut(b"  " + text + b"  \n"))[0] != "too_large"


@pytest.mark.parametrize("inner", ["[]," * 3_000 + "1", '{"a": ["]}", {"b\\"": 1}]},' * 900 + "2"])
def test_many_brackets_are_read_past(inner: str) -> None:
    value = f"[{inner}]"
    for size in (7, 500, 513, 1 << 18):
        assert texts(cut(f"[{value},{OBJECT},{value}]".encode(), size)) == [value, OBJECT, value]


def test_megabytes_of_brackets_are_read_by_the_block() -> None:
    deep = b"[" * 4_000_000
    began = time.process_time()
    assert texts(cut(deep)) == [BAD]
    assert texts(cut(b"[" + deep[:50_000] + b"]" * 50_000 + b",{}]")) == ["too_large", "{}"]
    assert time.process_time() - began < 3  # one by one it is five times as long
