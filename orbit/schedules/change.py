"""What a person may do to a schedule: switch it off and on, and give it another cron than the configuration's.

Either stays until somebody changes it back; a cron of theirs gives way once the configuration asks for another one than it did then. What was
due before the change is in the ledger before it, and while a schedule is off none of its ticks is due.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from orbit.models import RunProfile
from orbit.schedules import rows, sync
from orbit.schedules.cron import CronInvalid, next_after
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import OF_RUN_PROFILE, Change

_CLOCK = "SELECT now()"


class ScheduleUnknown(OrbitError):
    """There is no such schedule."""

    code, kind = "unknown_schedule", Kind.MISSING


class ScheduleOff(OrbitError):
    """The configuration asks for no cron here."""

    code, kind = "schedule_off", Kind.CONFLICT


def switch(name: str, *, on: bool, actor: Actor, reason: str) -> bool:
    """Switch the schedule ``name`` on or off; return False, with nothing on record, where it is so already.

    Raises ScheduleUnknown, also for one that ``actor`` doesn't see, and ScheduleOff where the configuration asks for no cron.
    """
    return _change(
        name, lambda asked, before: replace(before, off=not on), actor=actor, reason=reason
    )


def set_cron(name: str, *, cron: str, actor: Actor, reason: str) -> bool:
    """Give the schedule ``name`` the five fields ``cron``; an empty text gives it back to the configuration. Likewise; raises CronInvalid too."""

    def make(asked: Schedule, before: Change) -> Change:
        wanted = " ".join(cron.split())
        try:
            if wanted:
                next_after(wanted, asked.time_zone, datetime.now(UTC))
        except CronInvalid as error:
            raise CronInvalid(
                error.detail, errors=[{"pointer": "/cron", "detail": error.detail}]
            ) from None
        return replace(before, cron="" if wanted == asked.cron else wanted)

    return _change(name, make, actor=actor, reason=reason)


def find(name: str, *, actor: Actor) -> Any:
    """Return the row of the schedule ``name``. Raises ScheduleUnknown."""
    found = rows.visible(actor).filter(name=name).first() if "\x00" not in name else None
    if found is None:
        raise ScheduleUnknown(f"There is no schedule {name!r}.")
    return found


def _change(
    name: str, make: Callable[[Schedule, Change], Change], *, actor: Actor, reason: str
) -> bool:
    actor.require(Scope.CONFIGURE)
    row_id = find(name, actor=actor).id
    with audit.transaction():
        with connection.cursor() as cursor:
            cursor.execute(_CLOCK)
            now: datetime = cursor.fetchone()[0]
        row = sync.lock(row_id, now)
        if row.asked is None or not row.asked.cron:
            raise ScheduleOff(
                f"The configuration asks for no cron for {name}: set one there, or enable its run profile."
            )
        before = row.person or Change(
            off=not row.on,
            cron="" if row.cron == row.asked.cron else row.cron,
            over=row.asked.cron,
            by="",
            reason="",
            since="",
        )
        after = make(row.asked, before)
        if after == before:
            return False
        after = replace(
            after, over=row.asked.cron, by=actor.name, reason=reason, since=now.isoformat()
        )
        columns = rows.columns(row.asked, after if after.off or after.cron else None)
        sync.put(row_id, columns)
        audit.record(
            Action.SCHEDULE_CHANGED,
            actor=actor.name,
            object_id=name,
            namespace=_namespace(name),
            before={"on": row.on, "cron": row.cron},
            after={"on": columns["repeats"] != 0, "cron": columns["cron"]},
            reason=reason,
        )
    return True


def _namespace(name: str) -> str | None:
    if not name.startswith(OF_RUN_PROFILE):
        return None
    return (
        RunProfile.objects.filter(run_profile_id=name.removeprefix(OF_RUN_PROFILE))
        .values_list("namespace__name", flat=True)
        .first()
    )
