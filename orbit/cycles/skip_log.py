"""Record triggers that started nothing: one record a minute and namespace."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from governance.kernel import sql
from governance.kernel.errors import OrbitError
from orbit.records import execution
from orbit.records.execution import Record
from orbit.states import Trigger

_COUNT_SKIPS = sql.fragment(__name__, "count_skips")
NOTE_SKIPS = sql.load(__name__, "note_skips", count_skips=_COUNT_SKIPS)
NOTE_REFUSAL = sql.load(__name__, "note_refusal", count_skips=_COUNT_SKIPS)


@dataclass(frozen=True, slots=True)
class Skip:
    """A trigger that met the active cycle ``active``."""

    namespace: str
    active: str
    run_profile_id: str | None  # None: a raw cycle


def record_skips(skips: Sequence[Skip], *, trigger: Trigger) -> None:
    """Record triggers that active cycles blocked."""
    first = {skip.namespace: skip for skip in reversed(skips)}
    numbers = Counter(skip.namespace for skip in skips)
    with transaction.atomic(savepoint=False):  # or in the caller's
        notices = NOTE_SKIPS.rows(namespaces=list(numbers), numbers=list(numbers.values()))
        execution.write_all(
            [
                (_record(first[namespace], carried, trigger), namespace, None)
                for namespace, suppressed, carried in notices
                if suppressed == numbers[namespace] - 1  # a record is due
            ]
        )


def record_refusal(
    namespace: str, refusal: OrbitError, *, trigger: Trigger, run_profile_id: str | None
) -> None:
    """Record a trigger that the gate of ``namespace`` refused."""
    # Not the skips' notice: the first refusal of a halt is recorded even if a skip just was.
    notice = f"{namespace[:80]} {refusal.code}"[:100]
    with transaction.atomic():
        _, suppressed, carried = NOTE_REFUSAL.one(namespace=namespace, notice=notice) or ("", 1, 0)
        if not suppressed:
            data = {
                "trigger": trigger,
                "code": refusal.code,
                "run_profile_id": run_profile_id,
                "suppressed": carried,
            }
            execution.write(
                Record("governance", "refused", refusal.detail, "warning", data),
                namespace=namespace,
            )


def _record(skip: Skip, carried: int, trigger: Trigger) -> Record:
    more = f"; {carried} more triggers were skipped since the last record" if carried else ""
    data = {
        "trigger": trigger,
        "active_cycle_run_id": skip.active,
        "run_profile_id": skip.run_profile_id,
        "suppressed": carried,
    }
    return Record(
        "cycle", "cycle_skipped", f"the cycle {skip.active} is active{more}", "warning", data
    )
