"""Text and JSON that PostgreSQL can store, whatever was read from outside."""

import json
import re
from typing import Any

# How json.dumps writes NUL and surrogates. Pairs are fine, but cost only a second look.
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])")


def clean(text: str) -> str:
    """Return ``text`` without NUL and lone surrogates."""
    # PostgreSQL's text has no NUL, UTF-8 no lone surrogates.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def dumps(value: Any) -> str:
    """Return ``value`` as JSON that jsonb accepts."""
    text = json.dumps(value)
    return json.dumps(_clean_all(value)) if _SUSPECT.search(text) else text


def _clean_all(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_clean_all(key): _clean_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_all(item) for item in value]
    return value
