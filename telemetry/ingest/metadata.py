"""The metadata of each event name."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from telemetry.events import Name
from telemetry.ingest.verdicts import Code, EventInvalid, quoted

MOST_ARTIFACTS, MOST_TAGS = 1_000, 100
_LARGEST = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_PROVIDERS = ("Microsoft", "System", 1, 2)

#: Says what is wrong with a member, or returns an empty text.
Check = Callable[[Any], str]


def _text(most: int, *, least: int = 1) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, str) and least <= len(value) <= most:
            return ""
        return f"must be a text of {least} to {most:,} characters"

    return check


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _cache_hit(value: Any) -> str:
    fits = isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    return "" if fits else "must be true, false, 1 or 0"


def _provider(value: Any) -> str:
    fits = not isinstance(value, bool | float) and value in _PROVIDERS
    return "" if fits else "must be Microsoft or System (or 1 or 2)"


def _whole(least: int) -> Check:
    def check(value: Any) -> str:
        fits = type(value) is int and least <= value <= _LARGEST
        return "" if fits else f"must be a whole number from {least} to {_LARGEST}"

    return check


def is_number(value: object) -> bool:
    """Tell whether ``value`` is a JSON number; a float may be one of ``strict_json``'s."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> str:
    try:
        fits = is_number(value) and math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        fits = False
    return "" if fits else "must be a finite number (for true and false send 1 and 0)"


def _names(most: int) -> Check:
    def check(value: Any) -> str:
        fits = (
            isinstance(value, list)
            and len(value) <= most
            and all(isinstance(name, str) and 0 < len(name) <= 4096 for name in value)
        )
        return "" if fits else f"must be a list of at most {most:,} names"

    return check


def _artifacts(value: Any) -> str:
    if type(value) is int and 0 <= value <= MOST_ARTIFACTS:
        return ""
    problem = _names(MOST_ARTIFACTS)(value)
    return problem and f"{problem}, or how many artifacts there will be"


def _hash(value: Any) -> str:
    fits = isinstance(value, str) and _SHA256.fullmatch(value)
    return "" if fits else "must be the 64 hex digits of a SHA-256"


def _labels(value: Any) -> str:
    fits = isinstance(value, dict) and all(
        not isinstance(label, dict | list) for label in value.values()
    )
    return "" if fits else "must be an object of texts, numbers, true and false"


#: Members that must be there, and members that may be; any other is the sender's own.
REQUIRED: Mapping[str, Mapping[str, Check]] = {
    Name.TASK_END: {"success": _flag},
    Name.ERROR: {"message": _text(65_536, least=0)},
    Name.ARTIFACT_EMIT: {"path_name": _text(4_096), "size": _whole(0)},
    Name.METRIC: {"name": _text(200), "value": _number},
    Name.POLICY_VIOLATION: {
        "file": _text(4_096),
        "policy": _text(200),
        "rule": _text(200),
        "severity": _text(50),
    },
}
OPTIONAL: Mapping[str, Mapping[str, Check]] = {
    Name.TASK_START: {
        "title": _text(1_000, least=0),
        "priority": _whole(-_LARGEST),
        "tags": _names(MOST_TAGS),
        "provider_type": _provider,
        "provider_cache_hit": _cache_hit,
        "artifacts_declared": _artifacts,
    },
    Name.ARTIFACT_EMIT: {"sha256": _hash, "media_type": _text(200)},
    Name.METRIC: {"labels": _labels},
    Name.POLICY_VIOLATION: {"host": _text(255, least=0)},
}
_KNOWN = frozenset(map(str, {*REQUIRED, *OPTIONAL}))


def check(name: str, members: dict[str, Any]) -> bool:
    """Check the metadata of an event ``name``; return whether it was changed.

    An optional member that is null is left out; a SHA-256 becomes lower case. Raises EventInvalid.
    """
    if name not in _KNOWN:
        return False
    for member, problem_of in REQUIRED.get(name, {}).items():
        if members.get(member) is None:
            raise EventInvalid(Code.INVALID_METADATA, f"{name} needs `metadata.{member}`.")
        _require(name, member, problem_of(members[member]), members[member])
    changed = False
    for member, problem_of in OPTIONAL.get(name, {}).items():
        if member not in members:
            continue
        if members[member] is None:
            del members[member]
            changed = True
        else:
            _require(name, member, problem_of(members[member]), members[member])
    if (
        name == Name.ARTIFACT_EMIT
        and members.get("sha256", "") != members.get("sha256", "").lower()
    ):
        # As PowerShell's Get-FileHash writes it.
        members["sha256"] = members["sha256"].lower()
        changed = True
    return changed


def _require(name: str, member: str, problem: str, value: Any) -> None:
    if problem:
        raise EventInvalid(
            Code.INVALID_METADATA,
            f"`metadata.{member}` of {name} is {quoted(value)}; it {problem}.",
        )
