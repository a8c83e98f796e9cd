"""Masking: what a receiver sends back is kept and shown, and some send back what they were sent, credentials and all.

A secret is found as it is and in the spellings that echoes use: as a JSON string, in HTML, percent-encoded, in hex, and as base64, alone
or inside a longer text. An echo in any other spelling stays, and so do secrets of fewer than six bytes, which every text would hold.
"""

import base64
import functools
import html
import json
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

SHORTEST = 6
MASK = b"[masked]"


def mask(data: bytes, secrets: tuple[str, ...]) -> bytes:
    """Return ``data`` with every one of ``secrets`` masked, the beginning of one at the very end too, where an excerpt may cut it."""
    if len(data) < SHORTEST:
        return data
    forms = _forms(secrets)
    for form in forms:
        if form in data:
            data = data.replace(form, MASK)
    tail = max((_cut(data, form) for form in forms), default=0)
    return data[:-tail] + MASK if tail else data


def of_url(url: str) -> tuple[str, ...]:
    """Return what is secret of a url: all but the host. Of its path also the pieces that look like a key, and of its query the values."""
    parts = urlsplit(url)
    pieces = [piece for piece in parts.path.split("/") if len(piece) >= 16]
    values = [value for _, value in parse_qsl(parts.query)]
    whole = [parts.path + (f"?{parts.query}" if parts.query else ""), parts.query]
    return tuple(
        dict.fromkeys(
            text for text in (*whole, parts.path, *values, *pieces) if len(text) >= SHORTEST
        )
    )


@functools.lru_cache(maxsize=256)
def _forms(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the spellings, the longest first, so that none is broken up by one that is part of it."""
    found = {form for secret in secrets for form in _spellings(secret) if len(form) >= SHORTEST}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def _spellings(secret: str) -> set[bytes]:
    raw = secret.encode()
    if len(raw) < SHORTEST:
        return set()
    quoted = json.dumps(secret)[1:-1]
    texts = {secret, quoted, quoted.replace("/", "\\/"), html.escape(secret), html.escape(secret, quote=False), quote(secret, safe=""), quote(secret),
             quote_plus(secret), raw.hex(), raw.hex().upper()}  # fmt: skip
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        texts.add(encode(raw).decode().rstrip("="))
        # Inside a longer text it may begin at any of three places; what its neighbours have a part in is left out.
        texts |= {
            encode(b"\0" * before + raw).decode()[
                -(-before * 8 // 6) : (before + len(raw)) * 8 // 6
            ]
            for before in range(3)
        }
    return {text.encode() for text in texts}


def _cut(data: bytes, form: bytes) -> int:
    """Return how many bytes at the end of ``data`` are the beginning of ``form``; fewer than six are chance."""
    start = data.find(form[:SHORTEST], max(0, len(data) - len(form) + 1))
    while start >= 0 and not form.startswith(data[start:]):
        start = data.find(form[:SHORTEST], start + 1)
    return len(data) - start if start >= 0 else 0
