"""Canonical JSON (RFC 8785) and SHA-256."""

import hashlib
import json
from typing import Any

import rfc8785

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
)
_SAFE_INTEGER = 2**53 - 1
# Between these, Python and RFC 8785 write a float that isn't whole with the same digits.
_PLAIN_FLOATS = (1e-4, 1e15)


class _Special(Exception):
    """Something that the standard library writes in another way than RFC 8785."""


def _plain(value: Any) -> Any:
    """Return ``value`` as the standard library writes it. Raises _Special."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        members = {}
        for name, item in value.items():
            # Other names may sort in another way: RFC 8785 compares UTF-16.
            if type(name) is not str or not name.isascii():
                raise _Special
            members[name] = item if type(item) is str else _plain(item)
        return members
    if kind is list:
        return [item if type(item) is str else _plain(item) for item in value]
    return _plain_number(value)


def _plain_number(value: Any) -> Any:
    kind = type(value)
    if kind is int and abs(value) <= _SAFE_INTEGER:
        return value
    if kind is float:
        if value.is_integer() and abs(value) <= _SAFE_INTEGER:
            return int(value)  # without a point; and zero has no sign
        if _PLAIN_FLOATS[0] <= abs(value) < _PLAIN_FLOATS[1]:
            return value
    raise _Special


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as RFC 8785 JSON. Raises ValueError with a text for users."""
    try:
        # The library is written in Python. For most documents the encoder of the standard library,
        # written in C, makes the same bytes in a fifth of the time.
        return _ENCODER.encode(_plain(value)).encode("utf-8")
    except (_Special, UnicodeError, RecursionError):
        pass
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
