"""Mask secrets in responses, in the usual encodings: some receivers echo requests."""

import base64
import functools
import html
import json
import re
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

SHORTEST = 6  # bytes: any text may contain less by chance
MASK = b"[masked]"
_LONGEST_LOCATION = 300
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_QUERY = re.compile(r"[?#].*")
# The name and password before a host; a path may have an @.
_USER = re.compile(r"^(?!/[^/\\])((?:[A-Za-z][A-Za-z0-9+.-]{0,20}:)?[/\\]*)[^/\\]*@")


def mask(data: bytes, secrets: tuple[str, ...]) -> bytes:
    """Return ``data`` with ``secrets`` masked, also cut-off ones at the end."""
    if len(data) < SHORTEST:
        return data
    forms = encodings(secrets)
    for form in forms:
        if form in data:
            data = data.replace(form, MASK)
    tail = max((_truncated(data, form) for form in forms), default=0)
    return data[:-tail] + MASK if tail else data


def location(value: str, secrets: tuple[str, ...]) -> str:
    """Return a Location header for users: without credentials, query and ``secrets``."""
    masked = mask(value.encode("latin-1", "replace"), secrets).decode("latin-1")
    text = _USER.sub(r"\1", _QUERY.sub("?...", _UNPRINTABLE.sub("\ufffd", masked)))
    return text if len(text) <= _LONGEST_LOCATION else f"{text[:_LONGEST_LOCATION]}..."


def secrets_of_url(url: str) -> tuple[str, ...]:
    """Return a url's secrets: its path and long steps, query and values."""
    parts = urlsplit(url)
    steps = [step for step in parts.path.split("/") if len(step) >= 16]
    values = [value for _, value in parse_qsl(parts.query)]
    whole = [parts.path + (f"?{parts.query}" if parts.query else ""), parts.query]
    return tuple(
        dict.fromkeys(
            text for text in (*whole, parts.path, *values, *steps) if len(text) >= SHORTEST
        )
    )


@functools.lru_cache(maxsize=256)
def encodings(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return all encodings of ``secrets``, longest first."""
    forms = {form for secret in secrets for form in _encodings(secret) if len(form) >= SHORTEST}
    # One may be part of another: mask the longer first.
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _encodings(secret: str) -> set[bytes]:
    raw = secret.encode()
    if len(raw) < SHORTEST:
        return set()
    quoted = json.dumps(secret)[1:-1]
    texts = {
        secret,
        quoted,
        quoted.replace("/", "\\/"),
        html.escape(secret),
        html.escape(secret, quote=False),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        raw.hex(),
        raw.hex().upper(),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        texts.add(encode(raw).decode().rstrip("="))
        # Inside a longer text it may begin at any of three offsets. Leave out the characters that
        # its neighbours determine too.
        texts |= {
            encode(b"\0" * before + raw).decode()[
                -(-before * 8 // 6) : (before + len(raw)) * 8 // 6
            ]
            for before in range(3)
        }
    return {text.encode() for text in texts}


def _truncated(data: bytes, form: bytes) -> int:
    """Return how many bytes at the end of ``data`` begin ``form``."""
    start = data.find(form[:SHORTEST], max(0, len(data) - len(form) + 1))
    while start >= 0 and not form.startswith(data[start:]):
        start = data.find(form[:SHORTEST], start + 1)
    return len(data) - start if start >= 0 else 0
