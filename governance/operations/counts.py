"""What a run's summary may count: a closed list of keys, so that all runs can be read alike."""

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

KEYS = ("total", "processed", "succeeded", "failed", "skipped", "created", "updated", "deleted")


def normalised(found: Mapping[str, Any], *, about: str) -> dict[str, int]:
    """Return the whole numbers of ``found`` under known keys; whatever else is there is dropped with a warning, so that a run always ends."""
    kept = {
        key: found[key]
        for key in KEYS
        if isinstance(found.get(key), int) and not isinstance(found[key], bool) and found[key] >= 0
    }
    dropped = sorted(str(key) for key in found if key not in kept)
    if dropped:
        log.warning(
            "The summary of %s counts what no summary has: %s; dropped.", about, ", ".join(dropped)
        )
    return kept


def of(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts that a run's ``progress`` holds beside its notes."""
    return {key: progress[key] for key in KEYS if key in progress}
