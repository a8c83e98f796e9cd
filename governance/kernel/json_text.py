"""JSON as it was written: only white space outside strings goes."""

import json
import re

# Up to white space outside strings.
_PIECE = re.compile(r'(?:"(?:[^"\\]++|\\.)*+"|[^\s"]++)++')
_DECODER = json.JSONDecoder()


def compact(text: str) -> str:
    """Return valid JSON without white space outside strings."""
    return "".join(_PIECE.findall(text))


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
