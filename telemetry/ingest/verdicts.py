"""Why an event was rejected."""

import json
from dataclasses import dataclass
from enum import StrEnum

#: Values are quoted up to here.
_MOST_QUOTED = 60


class Code(StrEnum):
    """The stable codes."""

    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_FIELD = "unknown_field"
    DUPLICATE_KEY = "duplicate_key"
    MISSING_FIELD = "missing_field"
    INVALID_ID = "invalid_id"
    INVALID_TIME = "invalid_time"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    UNKNOWN_NAME = "unknown_name"
    INVALID_FIELD = "invalid_field"
    INVALID_METADATA = "invalid_metadata"
    TOO_LARGE = "too_large"
    UNKNOWN_NAMESPACE = "unknown_namespace"
    NAMESPACE_REQUIRED = "namespace_required"


class EventInvalid(Exception):
    """An event is rejected; the detail says what, where and how to mend it."""

    def __init__(self, code: Code, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected event of a batch. ``line`` counts from 1; None: not a file of lines."""

    index: int
    code: Code
    detail: str
    line: int | None = None


def quoted(value: object) -> str:
    """Return ``value`` for a detail as its sender knows it: JSON, shortened."""
    if isinstance(value, str):
        text = json.dumps(value[:_MOST_QUOTED], ensure_ascii=False)[1:-1].replace('\\"', '"')
        return f"'{text}'" if len(value) <= _MOST_QUOTED else f"'{text}...'"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}..."


def invalid(field: str, problem: str) -> EventInvalid:
    """Return the rejection of a field."""
    return EventInvalid(Code.INVALID_FIELD, f"`{field}` {problem}.")
