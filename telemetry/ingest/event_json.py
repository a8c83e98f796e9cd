"""One event as JSON text: parsed strictly, checked, and written as a line of COPY text."""

import json
import re
from datetime import date
from typing import Any

from governance.kernel import json_text, strict_json
from governance.kernel.strict_json import StrictJsonError
from telemetry.ingest import copy_text, limits, shape
from telemetry.ingest.shape import Sender
from telemetry.ingest.verdicts import Code, EventInvalid, quoted

_BOM = b"\xef\xbb\xbf"
_KEY = '"metadata"'
_OBJECT_FOLLOWS = re.compile(r'"metadata"[ \t\r\n]*+:[ \t\r\n]*+(?=\{)')
_ESCAPE = "\\u"


class _Unusual(Exception):
    """This text must be looked at more closely."""


def read(raw: bytes, sender: Sender) -> tuple[bytes, date]:
    """Return the event as COPY text without its ordinal, and its UTC day. Raises EventInvalid."""
    if len(raw) > limits.LARGEST_EVENT:
        raise too_large()
    members, metadata_text = _parse(raw.removeprefix(_BOM))
    if not isinstance(members, dict):
        raise EventInvalid(
            Code.NOT_AN_OBJECT, f"This is {quoted(members)}; an event is a JSON object."
        )
    checked = shape.check(members, sender)
    if checked.is_metadata_changed or metadata_text is None:
        metadata_text = copy_text.json_text(checked.metadata)
    return copy_text.texts(checked.values, metadata_text), checked.day


def too_large() -> EventInvalid:
    """Return the rejection of an event that is over the limit."""
    return EventInvalid(
        Code.TOO_LARGE,
        f"The event is larger than {limits.LARGEST_EVENT // 1024} KiB. Send a file as an "
        "artifact's name and hash, and a long text cut.",
    )


def _parse(raw: bytes) -> tuple[Any, str | None]:
    """Return the parsed event and the text of its metadata, if that suits jsonb as it is."""
    try:
        return _parse_fast(raw.strip().decode())
    except (_Unusual, ValueError, RecursionError):
        pass
    try:
        # The event is a level of its own.
        value = strict_json.loads(raw, max_depth=limits.MOST_DEPTH + 1)
    except StrictJsonError as error:
        raise EventInvalid(*_verdict(error)) from None
    if isinstance(value, dict) and isinstance(value.get("metadata"), dict):
        return value, json_text.member(raw, "metadata").decode()
    return value, None


def _parse_fast(text: str) -> tuple[dict[str, Any], str]:
    """Parse an ordinary event. Its metadata is cut out, because writing it again takes long.

    Raises _Unusual, and what the parser does; then ``strict_json`` decides.
    """
    start = text.find(_KEY)
    # Without a backslash before it, this is a string; with a colon after it, a key.
    match = _OBJECT_FOLLOWS.match(text, start) if start > 0 else None
    if match is None or "\\" in text[:start] or _ESCAPE in text:
        raise _Unusual
    begin = match.end()
    metadata, end = _DECODER.raw_decode(text, begin)
    cut = text[begin:end]
    if cut.count("[") + cut.count("{") > limits.MOST_DEPTH:
        raise _Unusual
    members, end = _DECODER.raw_decode(f"{text[:begin]}0{text[end:]}")
    if end < len(text) - len(cut) + 1 or not isinstance(members, dict) or "metadata" not in members:
        raise _Unusual
    members["metadata"] = metadata
    return members, cut


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Unusual
    return members


def _float(digits: str) -> float:
    # What may be beyond a float, or beyond PostgreSQL's numeric.
    if len(digits) > 40 or "e-" in digits or "E-" in digits:
        raise _Unusual
    number = float(digits)
    if number in (_INFINITY, -_INFINITY):
        raise _Unusual
    return number


def _constant(name: str) -> Any:
    raise _Unusual


_INFINITY = float("inf")
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)


def _verdict(error: StrictJsonError) -> tuple[Code, str]:
    detail = error.detail
    where = error.errors[0]["pointer"] if error.errors else ""
    if where:
        detail = f"At {quoted(where)}: {detail}"
    if "Duplicate key" in detail:
        return Code.DUPLICATE_KEY, detail
    if "Nested deeper" in detail:
        return (
            Code.INVALID_METADATA,
            f"`metadata` is nested deeper than {limits.MOST_DEPTH} levels.",
        )
    return Code.INVALID_JSON, f"This isn't JSON that Orbit accepts. {detail}"
