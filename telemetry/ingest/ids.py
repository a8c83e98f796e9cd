"""Ids of events: ULIDs and UUIDs."""

import re
from uuid import UUID

from telemetry.ingest.verdicts import Code, EventInvalid, quoted

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_CANONICAL = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Crockford's alphabet has no I, L, O and U. 26 characters are 130 bits: the first is at most 7.
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)
_TO_BASE_32 = str.maketrans("ABCDEFGHJKMNPQRSTVWXYZ", "ABCDEFGHIJKLMNOPQRSTUV")


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
        if _ULID.fullmatch(value):
            return str(from_ulid(value))
    raise EventInvalid(
        Code.INVALID_ID,
        f"`id` is {quoted(value)}. Send a UUID, such as 0190a5f0-7c1e-7b3a-9d5e-3f2a1b4c5d6e, "
        "or a ULID of 26 characters (0-9, A-Z without I, L, O, U; the first at most 7).",
    )


def from_ulid(text: str) -> UUID:
    """Return the UUID with the 128 bits of a ULID."""
    return UUID(int=int(text.upper().translate(_TO_BASE_32), 32))
