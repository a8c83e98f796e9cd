"""How values look."""

import pytest

from governance import display


@pytest.mark.parametrize(
    ("data", "size", "text"),
    [
        (b"plain", 5, "plain"),
        ("é…".encode()[:-1], 100, "é\n... 96 more bytes"),
        (b"\xff\x00", 2, "000000  ff 00"),
        (b"a\x1b[31m", 6, "000000  61 1b 5b 33 31 6d"),
        ("\u202eevil".encode(), 7, "000000  e2 80 ae 65 76 69 6c"),
        (b"", 0, ""),
        (
            bytes(range(32)),
            32,
            "000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n"
            "000010  10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f",
        ),
    ],
)
def test_bytes_are_shown_as_text_only_if_they_are_printable_text(
    data: bytes, size: int, text: str
) -> None:
    assert display.readable(data, size=size) == text


def test_a_state_is_a_word_before_it_is_a_colour() -> None:
    assert "partial success" in display.badge("partial_success")
    assert "&lt;b&gt;" in display.badge("<b>")
    assert display.json_block({"a": "</pre><script>"}).count("<") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0412, "41 ms"),
        (1, "1 s"),
        (8.24, "8.2 s"),
        (59.6, "1 min"),
        (151, "2 min 31 s"),
        (11_100, "3 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_has_its_units(seconds: float, text: str) -> None:
    assert display.duration(seconds) == text
