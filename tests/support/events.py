"""Events as scripts send them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4


def event(name: str = "command_end", **members: Any) -> dict[str, Any]:
    """Return an event of now, in the session ``s1``."""
    return {
        "id": str(uuid4()),
        "name": name,
        "occurred_at": datetime.now(UTC).isoformat(),
        "session_id": "s1",
        **members,
    }


def ndjson(events: Iterable[Any]) -> bytes:
    """Return a line for each event."""
    return b"".join(json.dumps(item).encode() + b"\n" for item in events)
