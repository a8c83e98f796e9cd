"""Ids of events: ULIDs and UUIDs."""

import re
from contextlib import suppress
from uuid import UUID

from governance.kernel import ulid
from telemetry.ingest.verdicts import Code, EventInvalid, quoted

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_CANONICAL = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def is_uuid(value: object) -> bool:
    """Tell whether ``value`` is a UUID's text, with or without hyphens."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def read(value: object) -> str:
    """Return the UUID of an id that is a UUID or a ULID, as PostgreSQL writes it.

    Raises EventInvalid.
    """
    if isinstance(value, str):
        if _CANONICAL.fullmatch(value):
            return value
        if _UUID.fullmatch(value):
            return str(UUID(value))
        with suppress(ValueError):
            return str(ulid.to_uuid(value))
    raise EventInvalid(
        Code.INVALID_ID,
        f"`id` is {quoted(value)}. Send a UUID, such as 0190a5f0-7c1e-7b3a-9d5e-3f2a1b4c5d6e, "
        "or a ULID of 26 characters (0-9, A-Z without I, L, O, U; the first at most 7).",
    )
