import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.kernel.strict_json import Inexact, StrictJsonError, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
)


def refusal(data: bytes) -> dict[str, str]:
    with pytest.raises(StrictJsonError) as exc_info:
        loads(data)
    (error,) = exc_info.value.errors
    return error


@settings(max_examples=100)
@given(value=JSON, ascii_only=st.booleans())
def test_every_proper_document_is_read_as_the_standard_library_reads_it(
    value: Any, ascii_only: bool
) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert loads(data) == json.loads(data)


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"a":[1,{"b":1,"b":2}]}', "/a/1/b"),
        (b'{"a":1,"\\u0061":2}', "/a"),
        (b'{"x/y":{"~":[0,"\\u0000"]}}', "/x~1y/~0/1"),
        (b'["a\\ud800b"]', "/0"),
        (b'{"\\udc00":1}', "/?"),
        (b'{"a":NaN}', "/a"),
        (b"[[-Infinity]]", "/0/0"),
        (b"[1, 1e400]", "/1"),
        (b'{"a":{"b":-1e999}}', "/a/b"),
        (b'{"a":[' + b"[" * 63 + b"]" * 63 + b"]}", "/a" + "/0" * 63),
        (b'{"n":' + b"9" * 5000 + b"}", "/n"),
        (b'{"a":[1,2,tru]}', "/a/2"),
        (b'{"a":"x', "/a"),
        (b"\xff", ""),
        (b"\xef\xbb\xbf{}", ""),
        (b"", ""),
        (b"}", ""),
        (b"{} {}", ""),
        ('{"a":1}'.encode("utf-16"), ""),
        (b'"\xed\xa0\x80"', ""),
        (b'{"a":"\x00"}', "/a"),
    ],
)
def test_a_refusal_says_where(data: bytes, pointer: str) -> None:
    error = refusal(data)
    assert error["pointer"] == pointer
    assert error["detail"]


def test_a_refusal_names_line_and_column() -> None:
    assert "(line 3, column 2)" in refusal(b'{"a":1,\n"b":2,\n "a":3}')["detail"]


def test_nesting_of_sixty_four_passes_and_brackets_in_strings_do_not_count() -> None:
    assert loads(b"[" * 64 + b'"[[[[[[\\"[[["' + b"]" * 64)


def test_whole_numbers_stay_exact_and_pairs_stay_one_character() -> None:
    assert loads(b'[123456789012345678901234567890, "\\ud83d\\ude00"]') == [
        123456789012345678901234567890,
        "\U0001f600",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'"' + b'\\"' * 500_000,
        b'{"a":' * 50_000,
        b'"' * 400_000,
        b"\\" * 500_000,
        b"1" * 1_000_000,
    ],
)
def test_hostile_input_is_refused_in_linear_time(data: bytes) -> None:
    def cpu_seconds(part: bytes) -> float:
        started = time.process_time()
        refusal(part)
        return time.process_time() - started

    # Four times the input takes about four times as long; quadratic work would take sixteen times.
    quarter = min(cpu_seconds(data[: len(data) // 4]) for _ in range(3))
    assert min(cpu_seconds(data) for _ in range(3)) < 10 * quarter + 0.1


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("0.1", True),
        ("0.10", True),
        ("1E+2", True),
        ("-0.0", True),
        ("0e-400", True),
        ("0.000000000000000000000000000001", True),
        ("5e-324", True),
        ("1.7976931348623157e308", True),
        ("100000000000000000000.0", True),
        ("0.30000000000000004", True),
        ("0.12345678901234567890", False),
        ("12345678901234567890.123", False),
        ("1e-400", False),
        ("1e-99999999999999999999999", False),
        ("2.5e-324", False),
        ("0." + "1" * 100_000, False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_number_that_a_float_would_change_is_known(written: str, exact: bool) -> None:
    (value,) = loads(f"[{written}]".encode())
    assert isinstance(value, Inexact) is not exact
    assert value == float(written)
