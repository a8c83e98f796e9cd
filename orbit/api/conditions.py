"""Conditional writes (RFC 9110, 13): ``If-Match``, ``If-None-Match: *``, and a reason."""

import contextlib
import re

from rest_framework.request import Request

from governance.kernel import reasons
from governance.kernel.errors import Kind, OrbitError
from governance.rest.queries import VISIBLE
from governance.rest.schemas import Schema
from orbit.profiles.expected import ANY, NEW, Expected

_MAX_LENGTH = 4096
_TAG = r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = rf"[ \t]*{_TAG}([ \t]*,[ \t]*{_TAG})*[ \t]*"
_REVISION = re.compile(r'(W/)?"([0-9]{1,9})"')

# What is replaced must be byte for byte what was read (RFC 9110, 13.1.1).
_WEAK = (
    'If-Match has the weak ETag W/"{tag}", and a weak one never matches. A proxy that compresses '
    'makes it of "{tag}": send that, without W/, or turn compression off for this address '
    "(nginx: gzip off)."
)

#: The headers that ``expected`` reads, for an operation that replaces a document.
HEADERS: dict[str, Schema] = {
    "If-Match": {
        "type": "string",
        "maxLength": _MAX_LENGTH,
        "pattern": rf"^({_TAGS}|[ \t]*\*[ \t]*)$",
        "description": "the ETag of the revision to replace, or `*`; "
        "required without `If-None-Match`",
    },
    "If-None-Match": {"type": "string", "description": "`*`: create it, it must not exist"},
}
#: The header that ``reason`` reads.
REASON: dict[str, Schema] = {
    "X-Orbit-Reason": {
        "type": "string",
        "maxLength": reasons.MAX_LENGTH,
        "pattern": f"^{VISIBLE}*$",
        "description": "why, in visible characters, as UTF-8",
    },
}


class HeaderInvalid(OrbitError):
    """A header can't be read."""

    code, kind = "invalid_header", Kind.MALFORMED


class PreconditionRequired(OrbitError):
    """Send If-Match with the ETag of your GET, or If-None-Match: * to create it."""

    code, kind = "precondition_required", Kind.UNCONDITIONAL


#: What ``expected`` and ``reason`` raise.
REFUSALS = (HeaderInvalid, PreconditionRequired)


def etag(revision: int) -> str:
    """Return the ETag of ``revision``."""
    return f'"{revision}"'


def expected(request: Request) -> Expected:
    """Return what the conditions expect. Raises PreconditionRequired, HeaderInvalid."""
    match, none = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if none is not None and none.strip() == "*":
        # Both at once can never be met.
        return NEW if match is None else Expected(frozenset())
    if match is None:
        raise PreconditionRequired
    if match.strip() == "*":
        return ANY
    if len(match) > _MAX_LENGTH or not re.fullmatch(_TAGS, match):
        bare = match.strip()
        number = bare if re.fullmatch(r"[0-9]{1,9}", bare) else "3"
        raise HeaderInvalid(f'If-Match must be an ETag in quotes, such as "{number}", or *.')
    weak = re.search(r'W/"([^"]*)"', match)
    return Expected(
        frozenset(int(number) for is_weak, number in _REVISION.findall(match) if not is_weak),
        advice="" if weak is None else _WEAK.format(tag=weak[1][:50]),
    )


def reason(request: Request) -> str:
    """Return the text of ``X-Orbit-Reason``. Raises HeaderInvalid."""
    text = request.headers.get("X-Orbit-Reason", "").strip()
    with contextlib.suppress(UnicodeError):
        # A server hands headers over as Latin-1, and most clients send UTF-8.
        text = text.encode("latin-1").decode("utf-8")
    if len(text) > reasons.MAX_LENGTH or not text.isprintable():
        raise HeaderInvalid(
            f"X-Orbit-Reason must be at most {reasons.MAX_LENGTH} visible characters."
        )
    return text
