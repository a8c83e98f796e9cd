"""How governance's own conditions are read."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from governance.alerts.conditions import MOST, Condition, Look, Observation, Reader
from governance.audit import verify
from governance.audit.verify import BEGINNING, Position
from governance.models import AlertWatch, GovernanceSetting

#: An evaluation verifies the audit trail for so long, and goes on from there a minute later.
AUDIT_SECONDS = 0.5


def halted_long() -> Look:
    """Return the namespaces that are halted for longer than ORBIT_ALERT_HALT_MINUTES."""
    longest = timedelta(minutes=settings.ORBIT_ALERT_HALT_MINUTES)
    rows = (
        GovernanceSetting.objects.filter(
            Q(until__isnull=True) | Q(until__gt=Now()), halt=True, since__lt=Now() - longest
        )
        .select_related("namespace")
        .order_by("since")[: MOST + 1]
    )
    observations = [
        Observation(
            row.namespace.name,
            f"{row.namespace.name} is halted since {row.since:%Y-%m-%d %H:%M} UTC by "
            f"{row.changed_by or 'unknown'}: {row.reason or 'no reason given'}",
            row.namespace.name,
            f"/admin/governance/namespace/{row.namespace_id}/resume/",
        )
        for row in rows
    ]
    return Look.of(observations)


def audit_broken() -> Look:
    """Verify the next part of the audit trail, round and round; return the first broken entry."""
    watch, _ = AlertWatch.objects.get_or_create(id=1)
    start = Position(watch.audit_number, watch.audit_hash or BEGINNING)
    checked = verify.check(start, seconds=AUDIT_SECONDS)
    # At the end it begins again: what was verified before may be changed later. At a broken entry
    # it stays, until the entry is as it was.
    reached = Position() if checked.intact else checked.reached
    AlertWatch.objects.filter(id=1).update(audit_number=reached.number, audit_hash=reached.hash)
    if checked.intact is not False:
        # Only the end of a round says that what was broken is mended.
        return Look([], is_complete=checked.intact is True)
    summary = f"{checked.problem} Entries before {checked.first_broken} are intact."
    link = "/admin/governance/audittrailentry/verify/"
    return Look([Observation("audit trail", summary, link=link)])


READERS: dict[Condition, Reader] = {
    Condition.HALTED_LONG: halted_long,
    Condition.AUDIT_BROKEN: audit_broken,
}
