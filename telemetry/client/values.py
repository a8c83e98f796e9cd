"""Turns whatever a script passes into JSON that Orbit stores."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from . import notes

MAX_NAME = 200
MAX_TEXT = 8_000
#: Bytes of the metadata. Orbit takes events of 64 KiB.
MAX_METADATA = 56_000
_MAX_DEPTH, _MAX_PARTS = 16, 2_000
_MAX_INTEGER = 2**53


def text(value: object, limit: int = MAX_TEXT) -> str:
    """Return ``value`` as text that PostgreSQL can hold; what was cut is said in it."""
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            result = bytes(value[: limit * 4]).decode(errors="backslashreplace")
        else:
            result = str(value)
    except Exception:  # __str__ is the script's
        result = f"<{type(value).__name__} without text>"
    # Lone surrogates, as in the names of files that aren't UTF-8, and NUL.
    result = result.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
    if len(result) > limit:
        end = f"... [cut: {len(result)} characters]"
        result = result[: max(0, limit - len(end))] + end[-limit:]
    return result


def name(value: object, limit: int = MAX_NAME) -> str:
    """Return ``value`` as one line for a name or an id; never empty."""
    words = "".join(letter if letter.isprintable() else " " for letter in text(value, limit))
    return " ".join(words.split())[:limit] or "unnamed"


def number(value: object) -> float | int | None:
    """Return ``value`` if it is a finite number, also in text; else None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return value
    try:
        result = float(value)  # type: ignore[arg-type] # what has no float raises
    except Exception:  # __float__ is the script's
        return None
    return result if math.isfinite(result) else None


def metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` as JSON values. What is left out is named in ``left_out``."""
    parts = _Parts()
    result: dict[str, Any] = {}
    left_out: list[str] = []
    size = 0
    for key, value in values.items():
        if value is None:
            continue
        cleaned = parts.json_value(value, depth=1)
        added = len(json.dumps({key: cleaned}, ensure_ascii=False).encode(errors="replace"))
        if size + added > MAX_METADATA:
            left_out.append(name(key))
            continue
        size += added
        result[text(key, MAX_NAME)] = cleaned
    if left_out:
        result["left_out"] = left_out[:10]
        notes.once("left out", f"too large for an event, and left out: {', '.join(left_out[:5])}.")
    if parts.converted:
        kinds = ", ".join(sorted(parts.converted)[:5])
        notes.once("converted", f"values that aren't JSON are sent as text: {kinds}.")
    return result


class _Parts:
    """Counts the values of one event, so that no input is walked without an end."""

    def __init__(self) -> None:
        self.converted: set[str] = set()
        self._count = 0

    def json_value(self, value: object, depth: int) -> Any:
        self._count += 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return text(value)
        if isinstance(value, int | float):
            plain = number(value)
            return self._as_text(value) if plain is None else plain
        if depth >= _MAX_DEPTH or self._count > _MAX_PARTS:
            return self._as_text("...", type(value).__name__)
        if isinstance(value, Mapping):
            return {
                text(key, MAX_NAME): self.json_value(item, depth + 1)
                for key, item in self._first(value.items())
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.json_value(item, depth + 1) for item in self._first(value)]
        return self._as_text(value)

    def _first(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            if self._count > _MAX_PARTS:
                self.converted.add(f"more than {_MAX_PARTS} values")
                return
            yield item

    def _as_text(self, value: object, kind: str = "") -> str:
        self.converted.add(kind or type(value).__name__)
        # An int of a million digits has no text.
        return text(value)
