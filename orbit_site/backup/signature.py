"""The signature of a backup proves who made it; its checksums only prove that it is whole.

The key is derived from ORBIT_ENCRYPTION_KEYS: the first signs, and each of them verifies.
"""

import hashlib
import hmac
import re
from enum import Enum

from django.conf import settings

from governance.kernel import derived_keys
from orbit_site.backup.layout import BLOCK

_WRITTEN = re.compile(rb"orbit-signature 1 ([0-9a-f]{16}) ([0-9a-f]{64})\n\0*")


class Origin(Enum):
    """What a signature says."""

    OURS = "signed by one of our keys"
    UNSIGNED = "without a signature"
    FOREIGN = "signed by a key that isn't ours"
    CHANGED = "signed by one of our keys, and changed since"


def sign(sums: bytes) -> bytes:
    """Return the block that signs a file with the checksums ``sums``."""
    key = settings.ORBIT_ENCRYPTION_KEYS[0]
    line = f"orbit-signature 1 {_name(key)} {_mac(key, sums)}\n".encode()
    return line.ljust(BLOCK, b"\0")


def origin(block: bytes, sums: bytes) -> Origin:
    """Tell who signed ``sums``."""
    match = _WRITTEN.fullmatch(block)
    if match is None:
        return Origin.UNSIGNED
    name, mac = match[1].decode(), match[2].decode()
    keys = settings.ORBIT_ENCRYPTION_KEYS
    if any(hmac.compare_digest(_mac(key, sums), mac) for key in keys):
        return Origin.OURS
    return Origin.CHANGED if name in map(_name, keys) else Origin.FOREIGN


def _mac(key: str, sums: bytes) -> str:
    secret = derived_keys.derive(key, "orbit backup signature")
    return hmac.new(secret, b"orbit backup 1\n" + sums, hashlib.sha256).hexdigest()


def _name(key: str) -> str:
    """Return what tells keys apart and reveals nothing of them."""
    return derived_keys.derive(key, "orbit backup key name")[:8].hex()
