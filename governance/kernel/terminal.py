"""Text from data, made safe for a terminal and for a line of a log. Without Django."""

import json
import re
import unicodedata

# Controls, such as ESC and CR; invisible ones, such as U+202E; separators of lines; surrogates.
_UNSAFE = {"Cc", "Cf", "Zl", "Zp", "Cs"}
_NO_WIDTH = {"Mn", "Me", "Cf"}
_WIDE = {"W", "F"}
_WIDTH = re.compile(r"<(\d+)")


class Cell(str):
    """A value in a table: escaped, and padded by the width that a terminal gives it."""

    def __format__(self, spec: str) -> str:
        text = escape(str(self))
        if not (width := _WIDTH.fullmatch(spec)):
            return format(text, spec)
        # One space at least, so that a long value doesn't touch the next.
        return text + " " * max(1, int(width[1]) - columns(text))


def escape(text: str) -> str:
    r"""Return ``text`` with `\x1b`, `\u202e` or such for what a terminal would obey or hide."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_unsafe(character) else character
        for character in text
    )


def escape_lines(text: str) -> str:
    """Escape each line of a text whose line breaks are ours."""
    return "\n".join(escape(line) for line in text.split("\n"))


def escape_json(text: str) -> str:
    """Return JSON that means the same, with an escape for each unsafe character in a string."""
    if text.isprintable():
        return text
    # Outside of strings JSON has no other control character than these.
    return "".join(
        json.dumps(character)[1:-1]
        if character not in "\n\r\t" and _is_unsafe(character)
        else character
        for character in text
    )


def columns(text: str) -> int:
    """Return how many columns a terminal uses for ``text``."""
    return sum(
        0
        if unicodedata.category(character) in _NO_WIDTH
        else 2
        if unicodedata.east_asian_width(character) in _WIDE
        else 1
        for character in text
    )


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE
