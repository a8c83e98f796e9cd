"""One event as JSON text: parsed strictly, checked, and written as a line of COPY text."""

from datetime import date
from typing import Any

from governance.kernel import json_text, strict_json
from governance.kernel.strict_json import StrictJsonError
from telemetry.ingest import copy_text, limits, ordinary, shape
from telemetry.ingest.shape import Sender
from telemetry.ingest.verdicts import Code, EventInvalid, quoted

_BOM = b"\xef\xbb\xbf"


def read(raw: bytes, sender: Sender) -> tuple[bytes, date, str]:
    """Return the event as COPY text without its ordinal, its UTC day and its name.

    Raises EventInvalid.
    """
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
    return copy_text.texts(checked.values, metadata_text), checked.day, checked.name


def too_large() -> EventInvalid:
    """Return the rejection of an event that is over the limit."""
    return EventInvalid(
        Code.TOO_LARGE,
        f"The event is larger than {limits.LARGEST_EVENT // 1024} KiB. Send a file as an "
        "artifact's name and hash, and a long text cut.",
    )


def _parse(raw: bytes) -> tuple[Any, str | None]:
    """Return the parsed event and the text of its metadata, if that suits jsonb as it is."""
    if parsed := ordinary.parse(raw):
        return parsed
    try:
        # The event is a level of its own.
        value = strict_json.loads(raw, max_depth=limits.MOST_DEPTH + 1)
    except StrictJsonError as error:
        raise EventInvalid(*_verdict(error)) from None
    if isinstance(value, dict) and isinstance(value.get("metadata"), dict):
        return value, json_text.member(raw, "metadata").decode()
    return value, None


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
