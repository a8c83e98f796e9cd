"""Conditional requests (RFC 9110, 13): ``If-Match`` and ``If-None-Match`` over revisions, and the text of a reason in a header.

A revision's tag is its number in quotes. A weak tag never equals one here: what is written over must be byte for byte what was read.
"""

import contextlib
import re
from dataclasses import dataclass

from rest_framework.request import Request

from governance.kernel.errors import Kind, OrbitError

_LONGEST = 4096
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"\s*(?:{_TAG})(?:\s*,\s*(?:{_TAG}))*\s*")
_REVISION = re.compile(r'(W/)?"([0-9]{1,9})"')
MAX_REASON = 2000


class HeaderInvalid(OrbitError):
    """A header can't be read."""

    code, kind = "invalid_header", Kind.MALFORMED


class PreconditionRequired(OrbitError):
    """Say which revision you saw: send If-Match with the ETag of your GET, or If-None-Match: * to make a new one."""

    code, kind = "precondition_required", Kind.UNCONDITIONAL


@dataclass(frozen=True, slots=True)
class Expected:
    """What the sender takes for granted: one of ``revisions``; None for ``revisions`` is whichever there is; ``absent``: that there is none."""

    revisions: frozenset[int] | None = None
    absent: bool = False

    def met_by(self, current: int | None) -> bool:
        """Tell whether ``current``, a revision or None for nothing at all, is what was expected."""
        if self.absent or current is None:
            return self.absent and current is None
        return self.revisions is None or current in self.revisions


NEW = Expected(absent=True)
WHATEVER = Expected()


def seen(revision: int) -> Expected:
    """Return the expectation that ``revision`` is the current one."""
    return Expected(frozenset({revision}))


def etag(revision: int) -> str:
    """Return the tag of ``revision``."""
    return f'"{revision}"'


def expected(request: Request) -> Expected:
    """Return what ``If-Match``, or ``If-None-Match: *``, takes for granted. Raises PreconditionRequired without either, HeaderInvalid."""
    match, none = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if none is not None and none.strip() == "*":
        # Both at once can never be true.
        return NEW if match is None else Expected(frozenset())
    if match is None:
        raise PreconditionRequired
    if match.strip() == "*":
        return WHATEVER
    if not _readable(match):
        raise HeaderInvalid('If-Match must be an ETag such as "3" in its quotes, or *.')
    return Expected(_revisions(match, strong=True))


def unchanged(request: Request, revision: int) -> bool:
    """Tell whether ``If-None-Match`` names ``revision``, so that a 304 says it all; what can't be read names nothing."""
    none = request.headers.get("If-None-Match", "").strip()
    return none == "*" or (_readable(none) and revision in _revisions(none, strong=False))


def reason(request: Request) -> str:
    """Return the text of ``X-Orbit-Reason``, UTF-8 or Latin-1, or an empty one. Raises HeaderInvalid for a long one or one with control characters."""
    sent = request.headers.get("X-Orbit-Reason", "").strip()
    with contextlib.suppress(UnicodeError):
        # A server hands headers over as Latin-1, and most clients send UTF-8.
        sent = sent.encode("latin-1").decode("utf-8")
    if len(sent) > MAX_REASON or not sent.isprintable():
        raise HeaderInvalid(f"X-Orbit-Reason must be at most {MAX_REASON} visible characters.")
    return sent


def _readable(value: str) -> bool:
    return len(value) <= _LONGEST and _TAGS.fullmatch(value) is not None


def _revisions(value: str, *, strong: bool) -> frozenset[int]:
    return frozenset(int(number) for weak, number in _REVISION.findall(value) if not (weak and strong))
