"""Text and JSON that PostgreSQL can store, whatever was read from outside."""

import json
import math
from typing import Any
from uuid import UUID

import orjson

# Times and objects are refused as by json.dumps, and not only if a NUL stands beside them.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def clean(text: str) -> str:
    """Return ``text`` without NUL and lone surrogates."""
    # PostgreSQL's text has no NUL, UTF-8 no lone surrogates.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def dumps(value: Any) -> str:
    """Return ``value`` as JSON that jsonb accepts; NaN and infinities become null.

    Raises TypeError for a time or an object.
    """
    try:
        text = orjson.dumps(value, option=_OPTIONS)
    except TypeError:
        # A lone surrogate, a number of more than 64 bits, a key that is no text.
        return json.dumps(_clean_all(value))
    # How it writes NUL. A backslash before these characters is fine, and costs a second look.
    return json.dumps(_clean_all(value)) if b"\\u0000" in text else text.decode()


def _clean_all(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_clean_all(key): _clean_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_all(item) for item in value]
    if isinstance(value, UUID):
        return str(value)  # as orjson does
    if isinstance(value, float) and not math.isfinite(value):
        return None  # as orjson does
    return value
