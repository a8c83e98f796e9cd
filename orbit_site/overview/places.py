"""What waits behind the places of the menu."""

from collections.abc import Mapping

from orbit_site.overview import things
from orbit_site.overview.summary import Summary

#: Address of a place, as in the menu -> (what is shown, CSS class: "" or "bad").
Counts = Mapping[str, tuple[str, str]]


def counts(answer: Summary) -> Counts:
    """Return the counts of the places where something waits."""
    kinds = [problem.kind for problem in answer.problems]
    numbers = {
        "orbit/cyclerun/": (answer.facts["active"], ""),
        "orbit/deadletterdispatch/": (answer.facts["dead"], "bad"),
        "alerts/": (answer.facts["alerts"], "bad"),
        "governance/operationrun/": (answer.facts["operations"], ""),
        "config/drift/": (kinds.count("drift"), ""),
    }
    counts = {
        place: (things.number(count), style) for place, (count, style) in numbers.items() if count
    }
    if answer.waiting.count:
        counts["advisory/strategyproposal/"] = (answer.waiting.number, "")
    return counts
