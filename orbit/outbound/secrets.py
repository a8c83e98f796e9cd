"""Encrypt endpoint snapshots at rest: their urls and headers hold secrets.

The first key encrypts, all keys decrypt. To rotate, put the new key in front and keep the old one
until nothing that it encrypted is left.
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
    """No key of ORBIT_ENCRYPTION_KEYS decrypts this."""

    code, kind = "unreadable_snapshot", Kind.INVALID


def seal(data: bytes, keys: Sequence[str]) -> bytes:
    """Return ``data`` encrypted and authenticated with the first of ``keys``.

    Raises ValueError if there is none, or one is not a Fernet key.
    """
    return _ring(keys).encrypt(data)


def unseal(token: bytes, keys: Sequence[str]) -> bytes:
    """Return what ``seal`` was given. Raises Unreadable if it was changed or no key fits."""
    try:
        return _ring(keys).decrypt(bytes(token))
    except InvalidToken:
        raise Unreadable from None


def derive_key(secret_key: str) -> str:
    """Return the Fernet key of a development installation without ORBIT_ENCRYPTION_KEYS."""
    return base64.urlsafe_b64encode(_expand(secret_key.encode(), b"orbit sealing")).decode()


def fingerprint(data: bytes, keys: Sequence[str]) -> str:
    """Return 64 hex digits, equal for equal ``data``, that reveal nothing without the first key.

    They find a configuration that is stored already. After a rotation the fingerprint is another,
    so the same configuration gets a new row, encrypted with the new key.
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
