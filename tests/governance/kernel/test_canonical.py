import hashlib
import math
import random
from typing import Any

import pytest
import rfc8785

from governance.kernel.canonical import canonical_json, sha256_hex


def test_keys_are_sorted_and_numbers_and_text_have_one_form() -> None:
    assert (
        canonical_json({"b": 1.0, "a": [1e21, 0.1, -0.0, True, None, "\u20ac\n\u000f"]})
        == '{"a":[1e+21,0.1,0,true,null,"\u20ac\\n\\u000f"],"b":1}'.encode()
    )


def test_keys_are_sorted_by_utf_16_as_specified() -> None:
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, -(2**60), math.nan, math.inf, "\ud800", {"\udfff": 1}, {1: 2}, object(), b"x"],
)
def test_a_value_without_a_canonical_form_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json([value])


def test_a_document_nested_too_deep_is_a_value_error() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError):
        canonical_json(value)


def test_the_hash_is_lower_case_hex() -> None:
    assert sha256_hex(b"orbit") == hashlib.sha256(b"orbit").hexdigest()


def _value(draw: random.Random, depth: int = 0) -> Any:
    match draw.randrange(9 if depth < 4 else 7):
        case 0:
            return draw.choice([True, False, None])
        case 1:
            return draw.randrange(-(2**53) + 1, 2**53) >> draw.randrange(53)
        case 2:
            return draw.choice(
                [
                    draw.random(),
                    draw.uniform(-1e6, 1e6),
                    10.0 ** draw.randrange(-12, 25),
                    float(draw.randrange(10**6)),
                    *(-0.0, 0.1 + 0.2, 1e15 - 0.125, 1e-4, 0.00011),
                ]
            )
        case 7:
            return [_value(draw, depth + 1) for _ in range(draw.randrange(5))]
        case 8:
            return {_text(draw): _value(draw, depth + 1) for _ in range(draw.randrange(5))}
        case _:
            return _text(draw)


def _text(draw: random.Random) -> str:
    ranges = [(0, 128), (0x20, 0x7F), (0xA0, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    return "".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(draw.randrange(6)))


def test_the_fast_way_makes_the_same_bytes_as_the_library() -> None:
    draw = random.Random(20260128)
    for _ in range(5_000):
        value = _value(draw)
        assert canonical_json(value) == rfc8785.dumps(value), value
