"""Strict JSON, with the place of the error.

Rejects duplicate keys, NUL, lone surrogates, NaN, numbers that overflow, and deep nesting.
"""

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from governance.kernel.errors import Kind, OrbitError

# The closing quote is optional: otherwise an unclosed string is tried again from each of its
# quotes, in quadratic time.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)
# What the database or a reader can't hold is only written as an escape.
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
# The place of an error is looked for up to here: it takes Python a microsecond a token.
_SEARCHED = 16 * 1024
_SURE_LENGTH, _TINY = 16, 1e-290


class StrictJsonError(OrbitError):
    """This isn't JSON that Orbit accepts."""

    code, kind = "malformed_json", Kind.MALFORMED


class Inexact(float):
    """A number that isn't the one that was written: no binary float is."""


class _Wrong(Exception):
    """What the parser lets pass; the text says what it is, if its place isn't found."""


def loads(data: bytes, *, max_depth: int = 64) -> Any:
    """Parse a JSON document; a number that a float would change is ``Inexact``.

    Raises StrictJsonError; for an error at the beginning with the pointer of the innermost value.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal("", f"Byte {error.start} isn't UTF-8.") from None
    if text.startswith("\ufeff"):
        raise _refusal("", "It begins with a byte order mark (BOM). Save it as UTF-8 without one.")
    try:
        return _parse(text, max_depth)
    except (_Wrong, ValueError, RecursionError) as error:
        raise _located(text, max_depth, error) from None


def _located(text: str, max_depth: int, error: Exception) -> StrictJsonError:
    # Slow, so only after a failure and only at the beginning.
    start = text[:_SEARCHED]
    pointer, detail, offset = _locate(start, max_depth)
    if not detail and isinstance(error, json.JSONDecodeError):
        detail, offset = error.msg, error.pos
        pointer = _locate(text[:offset], max_depth)[0] if offset <= _SEARCHED else ""
    elif not detail:
        return _refusal("", f"{error}." if isinstance(error, _Wrong) else "This can't be read.")
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return _refusal(pointer, f"{detail} (line {line}, column {column}).")


def _parse(text: str, max_depth: int) -> Any:
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
    except RecursionError:
        raise _Wrong(f"Nested deeper than {max_depth}") from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise _Wrong("A number is too long") from None
    if text.count("[") + text.count("{") > max_depth and _deeper(value, max_depth):
        raise _Wrong(f"Nested deeper than {max_depth}")
    # Only an escape can make NUL or a lone surrogate: the parser refuses a raw NUL, UTF-8 a raw
    # surrogate.
    if _ESCAPED.search(text) and _has_bad_character(value):
        raise _Wrong("NUL and half a surrogate pair are refused")
    return value


def _refusal(pointer: str, detail: str) -> StrictJsonError:
    return StrictJsonError(detail, errors=[{"pointer": pointer, "detail": detail}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Wrong("Duplicate key")
    return members


def _constant(name: str) -> Any:
    raise _Wrong(f"{name} is no JSON number")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Wrong("A number is out of range")
    # 15 digits survive, unless the number is tiny.
    if len(digits) <= _SURE_LENGTH and abs(number) > _TINY:
        return number
    try:
        exact = Decimal(digits) == Decimal(repr(number))
    except InvalidOperation:  # an exponent of twenty digits
        exact = False
    return number if exact else Inexact(number)


def _deeper(value: Any, max_depth: int) -> bool:
    level = [value]
    for _ in range(max_depth):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(item, dict | list) for item in level)


def _bad(text: str) -> bool:
    return "\0" in text or _SURROGATE.search(text) is not None


def _has_bad_character(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if _bad(item):
                return True
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False


@dataclass
class _Container:
    """An open object or array."""

    step: str | int  # the key or index being read
    keys: set[str] | None  # so far; None: an array
    awaits_key: bool


def _locate(text: str, max_depth: int) -> tuple[str, str, int]:
    """Return pointer, detail ("" if none) and offset of what the parser lets pass."""
    path: list[_Container] = []
    for match in _TOKEN.finditer(text):
        start = match[0][0]
        detail = ""
        if start in "[{":
            if len(path) >= max_depth:
                return _pointer(path), f"Nested deeper than {max_depth}", match.start()
            path.append(_Container("", set(), True) if start == "{" else _Container(0, None, False))
        elif start in "]},:":
            _step(path, start)
        elif start == '"':
            detail = _string(match[0], path[-1] if path else None)
        else:
            detail = _number(match[0])
        if detail:
            return _pointer(path), detail, match.start()
    return _pointer(path), "", len(text)


def _step(path: list[_Container], mark: str) -> None:
    if not path:
        return
    if mark in "]}":
        path.pop()
    elif mark == ":":
        path[-1].awaits_key = False
    elif isinstance(path[-1].step, int):
        path[-1].step += 1
    else:
        path[-1].awaits_key = True


def _string(written: str, within: _Container | None) -> str:
    try:
        value = json.loads(written)
    except ValueError:
        return ""  # the parser itself says what is wrong with it
    if within is not None and within.keys is not None and within.awaits_key:
        within.step = value
        if value in within.keys:
            return "Duplicate key"
        within.keys.add(value)
    return "NUL and half a surrogate pair are refused" if _bad(value) else ""


def _number(digits: str) -> str:
    if digits in ("NaN", "Infinity", "-Infinity"):
        return f"{digits} is no JSON number"
    if digits.lstrip("-").isdigit():
        return "This number is too long" if len(digits) > 4300 else ""
    try:
        return "This number is out of range" if math.isinf(float(digits)) else ""
    except ValueError:
        return ""


def _pointer(path: list[_Container]) -> str:
    # The response can't hold a key with NUL or a lone surrogate.
    steps = (
        str(container.step).replace("\0", "?").encode("utf-8", "replace").decode()
        for container in path
    )
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
