"""JSON as it was written: only white space outside strings goes."""

import json
import re

# Up to white space outside strings.
_PIECE = re.compile(r'(?:"(?:[^"\\]++|\\.)*+"|[^\s"]++)++')
_DECODER = json.JSONDecoder()


def compact(text: str) -> str:
    """Return valid JSON without white space outside strings."""
    return "".join(_PIECE.findall(text))


def items(array: bytes) -> list[bytes]:
    """Return the items of a valid array that is compact text already, as ``member`` returns it."""
    text = array.decode("utf-8")
    parts: list[bytes] = []
    place = 1
    while text[place] != "]":
        _, end = _DECODER.raw_decode(text, place)
        parts.append(text[place:end].encode("utf-8"))
        place = end + (text[end] == ",")
    return parts


def member(body: bytes, name: str) -> bytes:
    """Return a member of a valid object as compact text. Raises KeyError."""
    text = compact(body.decode("utf-8"))
    place = 1
    while text[place] == '"':
        key, end = _DECODER.raw_decode(text, place)
        start = end + 1  # after the colon
        _, place = _DECODER.raw_decode(text, start)
        if key == name:
            return text[start:place].encode("utf-8")
        place += 1  # after the comma
        if place >= len(text):
            break
    raise KeyError(name)
