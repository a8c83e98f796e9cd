"""Some cycles of a profile that stand behind its signal, to look at."""

from collections.abc import Iterable, Mapping

from django.db import transaction

from advisory.signals.measures import ALLOW_LONG
from advisory.signals.windows import Window
from telemetry import database

#: So many of each kind.
LISTED = 5

FIND = database.load(__name__, "find_cycles", listed=LISTED)

#: ``(profile_id, namespace)``.
Pair = tuple[str, str]


def find(
    pairs: Iterable[Pair], window: Window, *, may_take_long: bool = False
) -> Mapping[Pair, dict[str, list[str]]]:
    """Return ids of cycles in the window by pair and kind: ``not_succeeded``, ``slowest``."""
    chosen = list(pairs)
    if not chosen:
        return {}
    cycles: dict[Pair, dict[str, list[str]]] = {}
    with transaction.atomic(using=database.ALIAS):
        if may_take_long:
            ALLOW_LONG.rows()
        rows = FIND.rows(
            window_from=window.start,
            window_to=window.end,
            profiles=[profile for profile, _ in chosen],
            namespaces=[namespace for _, namespace in chosen],
        )
    for profile, namespace, kind, run_id, _ in rows:
        cycles.setdefault((profile, namespace), {}).setdefault(kind, []).append(run_id)
    return cycles
