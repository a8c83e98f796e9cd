"""The shape of an event, as the contract has it. Pure: it needs no database."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from governance.models.namespace import NAME_PATTERN
from telemetry.events import COLUMNS, OUTSIDE_NAMES, Level, Name
from telemetry.ingest import ids, metadata, times
from telemetry.ingest.times import Window
from telemetry.ingest.verdicts import Code, EventInvalid, invalid, quoted

REQUIRED = ("id", "name", "occurred_at", "session_id")
_NAMESPACE = re.compile(NAME_PATTERN)
_LEVELS = frozenset(str(level) for level in Level)
_NAMES = {str(name): str(name) for name in OUTSIDE_NAMES}
_DEFAULT_LEVELS = {str(Name.ERROR): str(Level.ERROR)}
_FIELDS = frozenset(COLUMNS)
#: Three centuries, in milliseconds.
_LONGEST = 1e13


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the times and the namespaces that are accepted. ``namespaces`` None: all."""

    window: Window
    namespaces: frozenset[str] | None = None


class Checked(NamedTuple):
    """An event that fits: texts in the order of ``COLUMNS``, without the metadata."""

    values: list[str | None]
    day: date
    name: str
    metadata: dict[str, Any]
    is_metadata_changed: bool  # from what was sent


def check(members: dict[str, Any], sender: Sender) -> Checked:
    """Check a parsed event. Raises EventInvalid."""
    _check_names(members)
    get = members.get
    name = _name(members["name"])
    moment, day = times.read(members["occurred_at"], sender.window)
    values = [
        ids.read(members["id"]),
        moment,
        name,
        _namespace(get("namespace"), sender.namespaces),
        _text(get("profile_id"), "profile_id", 100),
        _run_id(get("run_id")),
        _text(members["session_id"], "session_id", 200),
        _text(get("task_id"), "task_id", 200),
        _text(get("stage"), "stage", 50),
        _level(get("level"), name),
        _duration(get("duration_ms")),
    ]
    details = get("metadata")
    if details is None:
        details = {}
    if not isinstance(details, dict):
        raise EventInvalid(
            Code.INVALID_METADATA, f"`metadata` is {quoted(details)}; it must be an object."
        )
    return Checked(values, day, name, details, metadata.check(name, details))


def _check_names(members: Mapping[str, Any]) -> None:
    if None in map(members.get, REQUIRED):
        missing = next(field for field in REQUIRED if members.get(field) is None)
        raise EventInvalid(
            Code.MISSING_FIELD, f"`{missing}` is missing; each event needs {', '.join(REQUIRED)}."
        )
    if not _FIELDS.issuperset(members):
        unknown = min(members.keys() - _FIELDS)
        raise EventInvalid(
            Code.UNKNOWN_FIELD,
            f"There is no field {quoted(unknown)}. Put what is your own into `metadata`.",
        )


def _name(value: Any) -> str:
    if isinstance(value, str) and (name := _NAMES.get(value)):
        return name  # one object for all events
    raise EventInvalid(
        Code.UNKNOWN_NAME,
        f"`name` is {quoted(value)}; it must be one of {', '.join(OUTSIDE_NAMES)}.",
    )


def _text(value: Any, field: str, most: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise invalid(field, f"is {quoted(value)}; it must be a text of 1 to {most} characters")
    return value


def _namespace(value: Any, allowed: frozenset[str] | None) -> str | None:
    if value is None:
        return _only(allowed)
    if not isinstance(value, str) or _NAMESPACE.fullmatch(value) is None:
        raise invalid(
            "namespace",
            f"is {quoted(value)}; it must be 1 to 100 letters, digits, dots, hyphens and "
            "underscores, and begin with a letter or a digit",
        )
    if allowed is not None and value not in allowed:
        raise EventInvalid(
            Code.UNKNOWN_NAMESPACE, f"There is no namespace {quoted(value)} that you may write to."
        )
    return value


def _only(allowed: frozenset[str] | None) -> str | None:
    if allowed is None:
        return None
    if len(allowed) == 1:
        return min(allowed)
    raise EventInvalid(
        Code.NAMESPACE_REQUIRED,
        f"Name one of your namespaces in `namespace`: {', '.join(sorted(allowed)[:20])}."
        if allowed
        else "You are confined to namespaces, but none is granted to you. Ask an administrator.",
    )


def _run_id(value: Any) -> str | None:
    if value is None or ids.is_uuid(value):
        text: str | None = value
        return text
    raise invalid("run_id", f"is {quoted(value)}; it must be a UUID")


def _level(value: Any, name: str) -> str:
    if value is None:
        return _DEFAULT_LEVELS.get(name, "info")
    if isinstance(value, str) and value in _LEVELS:
        return value
    raise invalid("level", f"is {quoted(value)}; it must be one of {', '.join(Level)}")


def _duration(value: Any) -> str | None:
    if value is None:
        return None
    if metadata.is_number(value) and 0 <= value <= _LONGEST:
        return repr(value)
    raise invalid(
        "duration_ms",
        f"is {quoted(value)}; it must be a number of milliseconds, from 0 to 10,000,000,000,000",
    )
