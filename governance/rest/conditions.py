"""Conditional requests (RFC 9110, 13): ``If-Match`` and ``If-None-Match`` over revisions, and the text of a reason in a header.

A revision's tag is its number in quotes. A weak tag never equals one here: what is written over must be byte for byte what was read.
"""

import contextlib
import re
from dataclasses import dataclass

from rest_framework.request import Request

from governance.kernel.errors import Kind, OrbitError
from governance.rest.queries import VISIBLE
from governance.rest.schemas import Schema

_LONGEST = 4096
_TAG = r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = rf"[ \t]*{_TAG}([ \t]*,[ \t]*{_TAG})*[ \t]*"
_REVISION = re.compile(r'(W/)?"([0-9]{1,9})"')
MAX_REASON = 2000

#: The headers that ``expected`` and ``reason`` read, for a resource that writes over something.
HEADERS: dict[str, Schema] = {
    "If-Match": {
        "type": "string",
        "maxLength": _LONGEST,
        "pattern": rf"^({_TAGS}|[ \t]*\*[ \t]*)$",
        "description": "the ETag of what is written over, or `*`; needed where `If-None-Match` isn't sent",
    },
    "If-None-Match": {"type": "string", "description": "`*`: there is nothing yet, make it"},
}
REASON: dict[str, Schema] = {
    "X-Orbit-Reason": {
        "type": "string",
        "maxLength": MAX_REASON,
        "pattern": f"^{VISIBLE}*$",
        "description": "why, in visible characters, as UTF-8",
    },
}


class HeaderInvalid(OrbitError):
    """A header can't be read."""

    code, kind = "invalid_header", Kind.MALFORMED


class PreconditionRequired(OrbitError):
    """Say which revision you saw: send If-Match with the ETag of your GET, or If-None-Match: * to make a new one."""

    code, kind = "precondition_required", Kind.UNCONDITIONAL


#: What ``expected`` and ``reason`` refuse.
REFUSALS = (HeaderInvalid, PreconditionRequired)


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
    if len(match) > _LONGEST or not re.fullmatch(_TAGS, match):
        raise HeaderInvalid('If-Match must be an ETag such as "3" in its quotes, or *.')
    return Expected(frozenset(int(number) for weak, number in _REVISION.findall(match) if not weak))


def reason(request: Request) -> str:
    """Return the text of ``X-Orbit-Reason``, UTF-8 or Latin-1, or an empty one. Raises HeaderInvalid for a long one or one with control characters."""
    sent = request.headers.get("X-Orbit-Reason", "").strip()
    with contextlib.suppress(UnicodeError):
        # A server hands headers over as Latin-1, and most clients send UTF-8.
        sent = sent.encode("latin-1").decode("utf-8")
    if len(sent) > MAX_REASON or not sent.isprintable():
        raise HeaderInvalid(f"X-Orbit-Reason must be at most {MAX_REASON} visible characters.")
    return sent
