"""Query strings read strictly: only parameters that are known, each once, each of the type that it must have."""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request

from governance.kernel.errors import Kind, OrbitError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ParameterInvalid(OrbitError):
    """A parameter of the address can't be accepted."""

    code, kind = "invalid_parameter", Kind.MALFORMED


Reader = Callable[[str], Any]


def read(request: Request, known: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the parameters that were sent, read by the readers of ``known``. Raises ParameterInvalid, which names the parameter."""
    found: dict[str, Any] = {}
    for name, values in request.query_params.lists():
        if name not in known:
            raise ParameterInvalid(f"There is no parameter {name[:100]!r} here. Known are: {', '.join(sorted(known))}.")
        if len(values) != 1:
            raise ParameterInvalid(f"{name} is given {len(values)} times.")
        try:
            found[name] = known[name](values[0])
        except ValueError as error:
            raise ParameterInvalid(f"{name}: {error}.") from None
    return found


def text(value: str) -> str:
    """Read a name. Raises ValueError for an empty or endless one, and for what no name holds."""
    if not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError("must be 1 to 200 visible characters")
    return value


def moment(value: str) -> datetime:
    """Read an ISO 8601 time with its zone. Raises ValueError."""
    # A plus sign that nobody escaped arrives as a space.
    value = re.sub(r" (\d\d:\d\d)$", r"+\1", value) if "T" in value else value
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time such as 2026-01-31T06:00:00Z") from None
    if read.tzinfo is None:
        raise ValueError("must name its zone, such as 2026-01-31T06:00:00Z")
    return max(read, _EPOCH)


def identifier(value: str) -> uuid.UUID:
    """Read a UUID. Raises ValueError."""
    try:
        return uuid.UUID(value)
    except ValueError:
        raise ValueError("must be a UUID") from None


def number(low: int, high: int) -> Reader:
    """Return the reader of a whole number in ``low..high``."""

    def reader(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number between {low} and {high}")
        return int(value)

    return reader


def one_of(choices: type[Any]) -> Reader:
    """Return the reader of a member of the enumeration ``choices``."""
    names = [str(choice) for choice in choices]

    def reader(value: str) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return value

    return reader
