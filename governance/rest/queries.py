"""Query strings, read strictly: only known parameters, each once, each of its type."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from rest_framework.request import Request

from governance.kernel.errors import Kind, OrbitError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


class ParameterInvalid(OrbitError):
    """A query parameter can't be accepted."""

    code, kind = "invalid_parameter", Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one parameter; ``column`` is its column if that has another name."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    required: bool = False
    column: str = ""

    def __call__(self, value: str) -> Any:
        """Return the value of the text ``value``. Raises ValueError."""
        return self.read(value)

    def on(self, column: str) -> "Reader":
        """Return the same reader for a filter over ``column``."""
        return replace(self, column=column)


def reader(schema: Mapping[str, Any]) -> Callable[[Callable[[str], Any]], Reader]:
    """Make a Reader of a function that reads what fits ``schema``."""
    return lambda function: Reader(function, schema)


def required(optional: Reader) -> Reader:
    """Return the reader of a parameter that must be sent."""
    return replace(optional, required=True)


def read(request: Request, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the query's parameters, read. Raises ParameterInvalid."""
    values: dict[str, Any] = {}
    for name, texts in request.query_params.lists():
        if name not in readers:
            accepted = ", ".join(sorted(readers)) or "none"
            raise ParameterInvalid(
                f"There is no parameter {name[:100]!r} here. Accepted: {accepted}."
            )
        if len(texts) != 1:
            raise ParameterInvalid(f"{name} is given {len(texts)} times: send it once.")
        try:
            values[name] = readers[name](texts[0])
        except ValueError as error:
            raise ParameterInvalid(f"{name}: {error}.") from None
    for name, needed in readers.items():
        if needed.required and name not in values:
            raise ParameterInvalid(f"{name} is missing.")
    return values


def filters(values: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return ``values`` of ``readers`` by the column that they compare."""
    return {
        readers[name].column or name: value for name, value in values.items() if name in readers
    }


def matching(pattern: str, words: str, *, longest: int = 200) -> Reader:
    """Return the reader of a text that fits ``pattern``, which ``words`` describe."""

    def read_text(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return Reader(
        read_text,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": longest,
            "pattern": f"^{pattern}$",
            "description": words,
        },
    )


#: No control, direction or other invisible character: it would make a name look like another one.
VISIBLE = (
    r"[^\x00-\x1f\x7f-\xa0\xad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff\ufffe\uffff]"
)
#: A name.
text = matching(VISIBLE + "{1,200}", "1 to 200 visible characters")


@reader(
    {
        "type": "string",
        "format": "date-time",
        "description": "with its zone, such as 2026-01-31T06:00:00Z",
    }
)
def moment(value: str) -> datetime:
    """Read an ISO 8601 time with its zone. Raises ValueError."""
    # A plus sign that wasn't escaped arrives as a space.
    value = re.sub(r" (\d\d:\d\d)$", r"+\1", value) if "T" in value else value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a time such as 2026-01-31T06:00:00Z") from None
    if time.tzinfo is None:
        raise ValueError("must name its zone, such as 2026-01-31T06:00:00Z")
    # In UTC: the database knows no zone that is further than 16 hours away, and this syntax does.
    try:
        return max(time, _EPOCH).astimezone(UTC)
    except OverflowError:
        return _LATEST


@reader({"type": "string", "format": "date", "description": "a day of UTC, such as 2026-01-31"})
def day(value: str) -> date:
    """Read a day. Raises ValueError."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("must be a day such as 2026-01-31")


@reader({"type": "boolean"})
def truth(value: str) -> bool:
    """Read ``true`` or ``false``. Raises ValueError."""
    if value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true"


def _uuid(value: str) -> uuid.UUID:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError("must be a UUID")
    return uuid.UUID(value)


identifier = Reader(_uuid, {"type": "string", "format": "uuid"})


def number(low: int, high: int) -> Reader:
    """Return the reader of a whole number in ``low..high``."""

    def read_number(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number between {low} and {high}")
        return int(value)

    return Reader(read_number, {"type": "integer", "minimum": low, "maximum": high})


def one_of(choices: type[Any]) -> Reader:
    """Return the reader of a member of the enumeration ``choices``."""
    names = [str(choice) for choice in choices]

    def read_choice(value: str) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return value

    return Reader(read_choice, {"type": "string", "enum": names})
