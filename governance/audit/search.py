"""Which entries of the trail: filters that an index serves each, whoever asks."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from governance.models import AuditTrailEntry

#: Entries are in the order of their numbers, and that is the order of their times but for a clock that was set back.
_CLOCK_SET_BACK = timedelta(hours=2)
_EQUAL = ("actor", "action", "object_type", "object_id", "namespace", "request_id")


@dataclass(frozen=True, slots=True)
class Search:
    """What entries must have; what is None doesn't matter. Written at ``since`` or later, and before ``until``."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    namespace: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, as JSON has it."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    def entries(self, namespaces: Collection[str] | None = None) -> "QuerySet[AuditTrailEntry]":
        """Return the entries; of ``namespaces`` alone where that isn't None, which leaves out those of the whole workspace."""
        rows = AuditTrailEntry.objects.filter(
            **{name: value for name in _EQUAL if (value := getattr(self, name)) is not None}
        )
        if namespaces is not None:
            rows = rows.filter(namespace__in=sorted(namespaces))
        return between(rows, self.since, self.until)


def between(
    rows: "QuerySet[AuditTrailEntry]", since: datetime | None, until: datetime | None
) -> "QuerySet[AuditTrailEntry]":
    """Narrow ``rows`` to a span of time. The span's numbers are looked up first, so that a page of old entries doesn't read all newer ones."""
    every = AuditTrailEntry.objects.order_by("at").values_list("id", flat=True)
    if since is not None:
        first = every.filter(at__gte=_moved(since, -_CLOCK_SET_BACK)).first()
        rows = rows.none() if first is None else rows.filter(id__gte=first, at__gte=since)
    if until is not None:
        last = every.filter(at__lt=_moved(until, _CLOCK_SET_BACK)).last()
        rows = rows.none() if last is None else rows.filter(id__lte=last, at__lt=until)
    return rows


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:  # the end of all times
        return moment
