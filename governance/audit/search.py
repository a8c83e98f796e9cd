"""Search the audit trail; each filter has an index."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from governance.models import AuditTrailEntry

#: Numbers are in the order of times, unless a clock is set back: by at most this.
_CLOCK_SET_BACK = timedelta(hours=2)
_EQUAL = ("actor", "action", "object_type", "object_id", "namespace", "request_id")


@dataclass(frozen=True, slots=True)
class Search:
    """Filters; None matches everything. ``until`` is exclusive."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    namespace: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def entries(self, namespaces: Collection[str] | None = None) -> "QuerySet[AuditTrailEntry]":
        """Return the matching entries; with ``namespaces`` none of the whole workspace."""
        rows = AuditTrailEntry.objects.filter(
            **{name: value for name in _EQUAL if (value := getattr(self, name)) is not None}
        )
        if namespaces is not None:
            rows = rows.filter(namespace__in=sorted(namespaces))
        return between(rows, self.since, self.until)


def between(
    rows: "QuerySet[AuditTrailEntry]", since: datetime | None, until: datetime | None
) -> "QuerySet[AuditTrailEntry]":
    """Limit ``rows`` to a span of time."""
    # Bounds of numbers, so that a page of old entries doesn't read all newer ones. An entry that is
    # too early by more than a clock is set back has a lower number than all that match, whichever
    # of its transaction's it is; one that is too late has a higher number.
    numbers = AuditTrailEntry.objects.order_by("at").values_list("id", flat=True)
    if since is not None:
        before = numbers.filter(at__lt=_shift(since, -_CLOCK_SET_BACK)).last()
        rows = rows.filter(at__gte=since, **({} if before is None else {"id__gt": before}))
    if until is not None:
        after = numbers.filter(at__gte=_shift(until, _CLOCK_SET_BACK)).first()
        rows = rows.filter(at__lt=until, **({} if after is None else {"id__lt": after}))
    return rows


def _shift(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:  # the first or the last datetime
        return moment
