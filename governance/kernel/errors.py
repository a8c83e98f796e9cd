"""What every refusal is: a message, a stable code and a kind, which the edges map to HTTP and exit codes."""

from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What sort of refusal it is; ``rest.problem`` maps it to a status, ``commands`` to an exit code."""

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
    """Something was refused."""

    code: str = "error"
    kind: Kind = Kind.INVALID

    def __init__(
        self, detail: str = "", *, errors: list[dict[str, str]] | None = None, **extra: Any
    ) -> None:
        """``detail`` says what, where and how to mend; ``errors`` are ``{pointer, detail}``; ``extra`` joins the answer's body."""
        self.detail = detail or (self.__doc__ or "").strip().splitlines()[0]
        self.errors = errors or []
        self.extra = extra
        super().__init__(self.detail)
