"""Is anybody there to run a cycle?"""

from datetime import timedelta

from django.db.models.functions import Now

from orbit.models import ClusterNode

#: A keeper writes its sign of life every five seconds; three missed ones, and its cluster counts as gone.
SILENT_AFTER = timedelta(seconds=15)
_NAMED = 20


def any_alive() -> bool:
    """Tell whether a cluster lives that takes new cycles, by the database's clock."""
    return ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER, draining=False).exists()


def any_unpaused() -> bool:
    """Tell whether a cluster lives that takes new cycles and isn't paused by its environment."""
    return ClusterNode.objects.filter(
        seen_at__gt=Now() - SILENT_AFTER, draining=False, paused=False
    ).exists()


def paused_hosts() -> list[str]:
    """Return the hosts whose clusters their environment pauses, as far as they show signs of life."""
    return list(
        ClusterNode.objects.filter(seen_at__gt=Now() - SILENT_AFTER, paused=True)
        .order_by("host")
        .values_list("host", flat=True)
        .distinct()[:_NAMED]
    )
