"""Encrypt endpoint snapshots at rest: their urls and headers hold secrets.

Rotate: put the new key in front, and keep the old one until no row needs it.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from governance.kernel import derived_keys
from governance.kernel.errors import Kind, OrbitError


class Unreadable(OrbitError):
    """No key of ORBIT_ENCRYPTION_KEYS decrypts this."""

    code, kind = "unreadable_snapshot", Kind.INVALID


def seal(data: bytes, keys: Sequence[str]) -> bytes:
    """Encrypt ``data`` with the first of ``keys``. Raises ValueError if one is unusable."""
    return _ring(keys).encrypt(data)


def unseal(token: bytes, keys: Sequence[str]) -> bytes:
    """Return what ``seal`` was given. Raises Unreadable."""
    try:
        return _ring(keys).decrypt(bytes(token))
    except InvalidToken:
        raise Unreadable from None


def derive_key(secret_key: str) -> str:
    """Return the Fernet key of an installation without ORBIT_ENCRYPTION_KEYS."""
    return base64.urlsafe_b64encode(derived_keys.derive(secret_key, "orbit sealing")).decode()


def fingerprint(data: bytes, keys: Sequence[str]) -> str:
    """Return 64 hex digits that identify ``data`` to holders of the first key."""
    if not keys:
        raise ValueError("There is no key to make a fingerprint with.")
    # After a rotation it is another, so a stored configuration is encrypted again.
    key = derived_keys.derive(keys[0], "orbit fingerprint")
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _ring(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
