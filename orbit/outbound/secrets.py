"""Sealing of what must not be readable at rest: endpoint snapshots, whose urls and headers hold secrets too.

The first key seals, all keys open, so a key is rotated by putting the new one in front and keeping the old one until nothing
sealed with it is left.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from governance.kernel.errors import Kind, OrbitError


class Unreadable(OrbitError):
    """No key of ORBIT_ENCRYPTION_KEYS opens this."""

    code, kind = "unreadable_snapshot", Kind.INVALID


def seal(data: bytes, keys: Sequence[str]) -> bytes:
    """Return ``data`` encrypted and authenticated with the first of ``keys``. Raises ValueError when there is none, or one is no Fernet key."""
    return _ring(keys).encrypt(data)


def unseal(token: bytes, keys: Sequence[str]) -> bytes:
    """Return what ``seal`` was given. Raises Unreadable when no key opens it or it was changed."""
    try:
        return _ring(keys).decrypt(bytes(token))
    except InvalidToken:
        raise Unreadable from None


def derive_key(secret_key: str) -> str:
    """Return the Fernet key that a development installation without ORBIT_ENCRYPTION_KEYS uses: always the same for one secret key."""
    return base64.urlsafe_b64encode(_expand(secret_key.encode(), b"orbit sealing")).decode()


def fingerprint(data: bytes, keys: Sequence[str]) -> str:
    """Return 64 hex digits that are equal for equal ``data``, and tell nothing about it to those without the first key.

    They find the row of a configuration that is stored already. A new first key gives new ones, so after a rotation the same
    configuration simply gets a new row, sealed with the new key.
    """
    if not keys:
        raise ValueError("There is no key to make a fingerprint with.")
    return hmac.new(
        _expand(keys[0].encode(), b"orbit fingerprint"), data, hashlib.sha256
    ).hexdigest()


def _ring(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _expand(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)
