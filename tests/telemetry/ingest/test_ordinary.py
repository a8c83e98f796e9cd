"""The fast way through an event's JSON says nothing that the strict parser doesn't say."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from governance.kernel import strict_json
from telemetry.ingest import ordinary
from telemetry.ingest.limits import MOST_DEPTH

_SPACES = st.sampled_from(["", "", "", " ", "  ", "\t", "\r"])
# Few keys, so that they meet; among them some that are equal once they are read.
_KEYS = st.sampled_from(
    ["metadata", "m\\u0065tadata", "a", "\\u0061", "b", '\\"', "\\\\", '\\\\\\"', ":", "{", "é"]
)
_TEXTS = st.sampled_from(
    [
        "",
        "x",
        "metadata",
        '\\"metadata\\": {',
        "\\\\",
        '\\"',
        "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800",
    ]
)
_NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "0.0",
        "1.5",
        "1e5",
        "1e-400",
        "1e400",
        "NaN",
        "01",
        "true",
        "1" * 20,
        "0." + "12" * 20,
    ]
)


def _pairs(values: Any) -> Any:
    # Members as they are written: a key may be there twice.
    pair = st.tuples(_SPACES, _KEYS, _SPACES, _SPACES, values, _SPACES).map(
        lambda p: f'{p[0]}"{p[1]}"{p[2]}:{p[3]}{p[4]}{p[5]}'
    )
    return st.lists(pair, max_size=4).map(lambda pairs: "{" + ",".join(pairs) + "}")


def _within(values: Any) -> Any:
    arrays = st.lists(values, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    return _pairs(values) | arrays


_VALUES = st.recursive(_NUMBERS | _TEXTS.map('"{}"'.format), _within, max_leaves=8)


@given(_pairs(_VALUES))
@example('{"a":1,"metadata":{"a":1,"a" :2}}')
@example('{"a":1,"metadata":{"a":"\\\\","a":2}}')
@example('{"a":"\\"","metadata":{"a":"\\\\","a":"\\""}}')
@example('{"metadata":{"a":{}},"b":{"c":1}}')
@example('{"x\\"metadata":{},"metadata":{"a":1}}')
@example('{"a":{"metadata":{}},"metadata":{"b":1}}')
def test_what_it_takes_the_strict_parser_takes_too(text: str) -> None:
    parsed = ordinary.parse(text.encode())
    if parsed is None:
        return
    members, metadata = parsed
    strict = strict_json.loads(text.encode(), max_depth=MOST_DEPTH + 1)
    assert members == strict
    assert json.loads(metadata) == (strict.get("metadata") or {})


@pytest.mark.parametrize("text", ['"a"', '"é\\n\\"\\\\ \\u00e9"', "0.0", "[1.5, {}]", "null"])
def test_an_ordinary_event_goes_the_fast_way(text: str) -> None:
    raw = f'{{"id": "x", "metadata" : {{"a": {text}, "id": 1}} }} \r'.encode()
    assert ordinary.parse(raw) == (json.loads(raw), f'{{"a": {text}, "id": 1}}')


@pytest.mark.parametrize("levels", [MOST_DEPTH, MOST_DEPTH + 1])
def test_what_is_too_deep_is_left_to_the_strict_parser(levels: int) -> None:
    raw = ('{"metadata":' + '{"a":' * levels + "1" + "}" * levels + "}").encode()
    assert (ordinary.parse(raw) is None) == (levels > MOST_DEPTH)


def test_a_number_with_more_decimals_than_the_database_takes_goes_the_slow_way() -> None:
    assert ordinary.parse(b'{"metadata":{"a":0.' + b"1" * 17_000 + b"}}") is None
    assert ordinary.parse(b'{"metadata":{"a":1e-17000}}') is None
