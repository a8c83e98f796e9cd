import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.kernel import json_text
from tests.governance.kernel.test_strict_json import JSON


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"0.12345678901234567890", b"0.12345678901234567890"),
        (b"-0", b"-0"),
        (b"[ 1e-400 , 1E+2, 0.10, 1.0, -0.0 ]", b"[1e-400,1E+2,0.10,1.0,-0.0]"),
        (b"1" * 40, b"1" * 40),
        (b' {"b" : 1 , "a":[ ] ,"" : { } } ', b'{"b":1,"a":[],"":{}}'),
        (b'"\\u0061 \\/ \\u00e9\\t b"', b'"\\u0061 \\/ \\u00e9\\t b"'),
        ('" ö \u2028\u00a0\u3000 "'.encode(), '" ö \u2028\u00a0\u3000 "'.encode()),
        (b'"a \\" , : b"', b'"a \\" , : b"'),
        (b'"\\\\" ', b'"\\\\"'),
        (b'["\\\\\\" [ ", " "]', b'["\\\\\\" [ "," "]'),
        (b"\r\n\tnull\n", b"null"),
        (b"true", b"true"),
        (b'{"payload": 1}', b'{"payload":1}'),
    ],
)
def test_only_white_space_outside_strings_goes(sent: bytes, kept: bytes) -> None:
    for body in (
        b'{"payload":' + sent + b"}",
        b'\n{ "a" : "x\\"y" ,\r\n\t"payload" : ' + sent + b' , "b" : [ {"payload": 2} ] } ',
        b'{"p\\u0061yload": ' + sent + b"}",
    ):
        assert json_text.member(body, "payload") == kept


@pytest.mark.parametrize("body", [b"{}", b' { "a" : {"payload": 1} } ', b'{"payload2": 1, "b": 2}'])
def test_an_absent_member_raises(body: bytes) -> None:
    with pytest.raises(KeyError):
        json_text.member(body, "payload")


@settings(max_examples=200)
@given(value=JSON, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_a_document_is_the_compact_one_of_the_standard_library(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    sent = json.dumps({"x": 1, "payload": value, "y": 2}, indent=indent, ensure_ascii=ascii_only)
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)
    assert json_text.member(sent.encode(), "payload").decode() == compact


@pytest.mark.parametrize(
    "payload",
    [
        "[" + " 1 ," * 250_000 + "1]",
        '"' + "\\\\" * 500_000 + '"',
        "[" + '"",' * 300_000 + '""]',
        " " * 1_000_000 + "1",
        "[" + "[],\n" * 200_000 + "0]",
    ],
    ids=["numbers", "escapes", "strings", "white space", "arrays"],
)
def test_a_megabyte_costs_no_more_than_a_few_times_its_parsing(payload: str) -> None:
    body = f'{{"payload":{payload}}}'.encode()
    started = time.process_time()
    json.loads(body)
    parsed = time.process_time() - started
    started = time.process_time()
    json_text.member(body, "payload")
    assert time.process_time() - started < 20 * parsed + 0.5
