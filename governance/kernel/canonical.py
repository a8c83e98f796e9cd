"""Canonical JSON (RFC 8785) and SHA-256."""

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as RFC 8785 JSON. Raises ValueError with a text for users."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        raise ValueError(
            "A whole number beyond 2^53 has no canonical JSON form. Write it as text."
        ) from None
    except rfc8785.FloatDomainError:
        raise ValueError("NaN and infinity have no JSON form.") from None
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"This has no canonical JSON form: {error}.") from None
    except (UnicodeError, RecursionError):
        raise ValueError(
            "Half a surrogate pair, or a document nested too deep, has no canonical JSON form."
        ) from None


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()
