import hashlib
import math

import pytest

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
