"""The API's document without summaries and descriptions, which may be reworded.

``python -m tests.golden.openapi`` writes it. Do that only to change the API on purpose.
"""

import json
import os
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "openapi-shape.json"
_WORDS = {"summary", "description"}


def shape(part: Any) -> Any:
    """Return ``part`` without summaries and descriptions."""
    if isinstance(part, list):
        return [shape(item) for item in part]
    if not isinstance(part, dict):
        return part
    # A property may be called `description` too: its value is a schema, not a text.
    return {
        name: shape(value)
        for name, value in part.items()
        if not (name in _WORDS and isinstance(value, str))
    }


def as_text(document: dict[str, Any]) -> str:
    """Return the shape of ``document`` as a file."""
    return json.dumps(shape(document), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "orbit_site.settings"
    os.environ.setdefault("ORBIT_ENV", "test")
    import django

    django.setup()
    from orbit_site import contract

    FILE.write_text(as_text(contract.document()))
