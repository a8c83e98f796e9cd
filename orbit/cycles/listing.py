"""Lists of cycles: the filters that the API, the console and the command share, each answered from an index."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.kernel.identifiers import uuid7_floor
from orbit.models import CycleRun

#: What a list shows of a cycle; the input may be large and stays in the database.
FIELDS = (
    "id", "namespace_id", "status", "trigger", "triggered_by", "profile_id", "run_profile_id", "created_at", "started_at", "finished_at",
    "next_due_at", "reason", "rerun_of_id",
)  # fmt: skip
# An id carries the clock of the process that made it, created_at the database's.
_SKEW = timedelta(minutes=10)


def matching(
    actor: Actor,
    *,
    namespace: str | None = None,
    status: str | None = None,
    run_profile_id: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
) -> QuerySet[CycleRun]:
    """Return the cycles that ``actor`` sees and that fit, newest first; ``created_to`` itself is outside."""
    rows = CycleRun.objects.filter(actor.filter()).only(*FIELDS)
    for field, value in (
        ("namespace", namespace),
        ("status", status),
        ("run_profile_id", run_profile_id),
    ):
        if value is not None:
            rows = rows.filter(**{field: value})
    if created_from is not None:
        rows = rows.filter(
            created_at__gte=created_from, id__gte=uuid7_floor(max(created_from, _EARLIEST) - _SKEW)
        )
    if created_to is not None:
        rows = rows.filter(
            created_at__lt=created_to, id__lt=uuid7_floor(min(created_to, _LATEST) + _SKEW)
        )
    return rows.order_by("-id")


_EARLIEST = datetime.fromisoformat("1970-01-02T00:00:00+00:00")
_LATEST = datetime.fromisoformat("9000-01-01T00:00:00+00:00")
