"""Text for a terminal: what it would obey is escaped, and columns stay in line."""

import json
import unicodedata

import pytest

from governance.kernel import terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("stop\x1b[2Jgone", r"stop\x1b[2Jgone"),
        ("two\r\nlines\ttab", r"two\r\nlines\ttab"),
        ("beep\a and \x7f", r"beep\x07 and \x7f"),
        ("C1 \x9b31m", r"C1 \x9b31m"),
        ("right \u202e left", r"right \u202e left"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("half \ud800", r"half \ud800"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("Grüße, 日本 🙂 ½", "Grüße, 日本 🙂 ½"),
    ],
)
def test_what_a_terminal_obeys_or_hides_is_escaped_and_the_rest_stays(
    text: str, shown: str
) -> None:
    assert terminal.escape(text) == shown
    assert terminal.escape(shown) == shown


def test_no_character_that_moves_the_cursor_passes() -> None:
    for number in range(0x110000):
        if unicodedata.category(chr(number)) in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
            assert terminal.escape(chr(number)).isascii()


def test_escaped_json_means_the_same() -> None:
    document = {"a": "\x1b\u202e\x9b\U000e0041 grüße\n", "b": ["\x7f", 1.5, None]}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    shown = terminal.escape_json(text)
    assert json.loads(shown) == document
    assert "grüße" in shown
    assert terminal.escape_lines(shown) == shown


def test_wide_and_combined_characters_keep_the_columns_in_line() -> None:
    lines = [
        f"{terminal.Cell(name):<12}|{terminal.Cell('x'):<3}|"
        for name in ("plain", "日本語", "e\u0301te\u0301", "a\x1bb", "longer than a column")
    ]
    assert [terminal.columns(line.partition("|")[0]) for line in lines] == [12, 12, 12, 12, 21]
    assert lines[3] == r"a\x1bb      |x  |"
