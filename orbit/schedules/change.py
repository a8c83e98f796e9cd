"""Override a schedule: switch it off or on, or give it another cron."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import cron_fields
from governance.kernel.errors import Kind, OrbitError
from orbit.models import RunProfile
from orbit.schedules import rows, sync
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import OF_RUN_PROFILE, ScheduleOverride, ScheduleRow


class ScheduleUnknown(OrbitError):
    """There is no such schedule."""

    code, kind = "unknown_schedule", Kind.MISSING


class ScheduleOff(OrbitError):
    """The configuration has no cron for this schedule."""

    code, kind = "schedule_off", Kind.CONFLICT


def switch(name: str, *, on: bool, actor: Actor, reason: str) -> bool:
    """Switch the schedule on or off. Return False if it is so already.

    Raises ScheduleUnknown and ScheduleOff.
    """
    return _change(
        name, lambda configured, before: replace(before, off=not on), actor=actor, reason=reason
    )


def set_cron(name: str, *, cron: str, actor: Actor, reason: str) -> bool:
    """Set another cron; an empty text restores the configured one.

    Returns and raises as ``switch`` does, and CronInvalid.
    """

    def override(configured: Schedule, before: ScheduleOverride) -> ScheduleOverride:
        fields = " ".join(cron.split())
        if fields and (detail := cron_fields.problem(fields)):
            raise CronInvalid(detail, errors=[{"pointer": "/cron", "detail": detail}])
        return replace(before, cron="" if fields == configured.cron else fields)

    return _change(name, override, actor=actor, reason=reason)


def find(name: str, *, actor: Actor) -> Any:
    """Return the row of the schedule ``name``. Raises ScheduleUnknown."""
    row = rows.visible(actor).filter(name=name).first() if "\x00" not in name else None
    if row is None:
        raise ScheduleUnknown(f"There is no schedule {name!r}.")
    return row


def _change(
    name: str,
    override: Callable[[Schedule, ScheduleOverride], ScheduleOverride],
    *,
    actor: Actor,
    reason: str,
) -> bool:
    actor.require(Scope.CONFIGURE)
    row_id = find(name, actor=actor).id
    with audit.transaction():
        now = _now()
        # Writes the ticks that were due before the change.
        row = sync.lock(row_id, now)
        configured = row.configured
        if configured is None or not configured.cron:
            raise ScheduleOff(
                f"{name} has no cron in the configuration: "
                "set one there, or enable its run profile."
            )
        before = row.override or _as_it_runs(row, configured)
        after = override(configured, before)
        if after == before:
            return False
        after = replace(
            after, over=configured.cron, by=actor.name, reason=reason, since=now.isoformat()
        )
        columns = rows.columns(configured, after if after.off or after.cron else None)
        sync.write(row_id, columns)
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


def _as_it_runs(row: ScheduleRow, configured: Schedule) -> ScheduleOverride:
    """Return what the row runs, as an override."""
    # From the columns: another program may have changed them.
    return ScheduleOverride(
        off=not row.on,
        cron="" if row.cron == configured.cron else row.cron,
        over=configured.cron,
        by="",
        reason="",
        since="",
    )


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return now


def _namespace(name: str) -> str | None:
    if not name.startswith(OF_RUN_PROFILE):
        return None
    return (
        RunProfile.objects.filter(run_profile_id=name.removeprefix(OF_RUN_PROFILE))
        .values_list("namespace__name", flat=True)
        .first()
    )
