"""What makes a proposal riskier than others: it changes where data goes, or when cycles run."""

from collections.abc import Mapping, Sequence
from typing import Any

#: The first step of a path in a profile or run profile -> the mark.
_MARKS = {
    "distribution_targets": "targets",
    "distribution_map": "targets",
    "execution_policy": "schedule",
}


def marks(patch: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return "targets" and "schedule" if a patch touches them."""
    paths = [
        str(operation[member])
        for operation in patch
        for member in ("path", "from")
        if member in operation
    ]
    # A path of no step is the whole document.
    if "" in paths:
        return sorted(set(_MARKS.values()))
    return sorted({_MARKS[step] for path in paths if (step := path.split("/")[1]) in _MARKS})
