"""Old alerts: deleted with their messages, by the time they were resolved."""

from datetime import timedelta

from django.db.models.functions import Now

from governance.models import Alert


def delete_old(days: int, *, limit: int = 1_000) -> int:
    """Delete at most ``limit`` alerts that were resolved more than ``days`` days ago.

    Returns how many. Open alerts stay.
    """
    edge = Now() - timedelta(days=days)
    old = Alert.objects.filter(resolved_at__lt=edge).order_by("resolved_at", "id")
    return Alert.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()[0]
