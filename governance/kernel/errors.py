"""The base of all refusals."""

from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kind of a refusal; it decides the HTTP status and the exit code."""

    CONFLICT = "conflict"
    LOCKED = "locked"
    INVALID = "invalid"
    MALFORMED = "malformed"
    MISSING = "missing"
    DENIED = "denied"
    TOO_LARGE = "too_large"
    STALE = "stale"
    UNCONDITIONAL = "unconditional"
    UNAVAILABLE = "unavailable"


class OrbitError(Exception):
    """A request was refused. The docstring of a subclass is its message."""

    code: str = "error"
    kind: Kind = Kind.INVALID

    def __init__(
        self, detail: str = "", *, errors: list[dict[str, str]] | None = None, **extra: Any
    ) -> None:
        """``errors`` are ``{pointer, detail}``; ``extra`` joins the response's body."""
        self.detail = detail or (self.__doc__ or "").strip().splitlines()[0]
        self.errors = errors or []
        self.extra = extra
        super().__init__(self.detail)

    @property
    def sentences(self) -> list[str]:
        """The detail, and each error that it doesn't name."""
        others = [error for error in self.errors if error["detail"] not in self.detail]
        return [self.detail, *(f"{error['pointer']}: {error['detail']}" for error in others)]

    @property
    def lines(self) -> list[str]:
        """The detail as lines; a line break that comes from data begins none."""
        return [self.detail]
