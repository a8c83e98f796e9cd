"""Standard Webhooks signatures: ``v1,<base64 HMAC-SHA256>`` of ``id.timestamp.body``."""

import base64
import binascii
import functools
import hmac


def parse_secrets(text: str) -> list[bytes]:
    """Return the keys of space-separated ``whsec_`` secrets. Raises ValueError, without them."""
    keys = []
    for secret in text.split(" "):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError(
                "Must be `whsec_` and the base64 of 24 to 64 random bytes; "
                "two of them, separated by a space, during a rotation."
            )
        # Random bytes have more different values.
        if len(set(key)) < 8:
            raise ValueError(
                "This signing secret can be guessed: make it from 24 to 64 random bytes."
            )
        keys.append(key)
    return keys


def sign(secrets: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature per secret.

    ``timestamp``: seconds. Raises ValueError for an invalid secret.
    """
    # Receivers accept timestamps of the last five minutes, so each attempt is signed anew.
    content = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, content, "sha256") for key in _keys(secrets))
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


@functools.lru_cache(maxsize=256)
def _keys(secrets: str) -> tuple[bytes, ...]:
    return tuple(parse_secrets(secrets))
