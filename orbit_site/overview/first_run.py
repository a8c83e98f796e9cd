"""The checklist of a new installation, ticked from data."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q

from governance.audit.actions import Action
from governance.models import AuditTrailEntry
from orbit.dispatch import endpoints
from orbit_site.overview.facts import Facts, listed

#: The action of a test delivery; a delivered cycle counts too.
_TESTED = "endpoint.tested"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: done by a click on ``link`` or by ``command``."""

    title: str
    done: bool
    text: str
    link: str = ""
    action: str = ""
    command: str = ""


def is_first_run(facts: Facts) -> bool:
    """Return whether nothing has run, or nothing was ever delivered."""
    return not (facts["has_cycles"] and facts["has_delivered"])


def steps(facts: Facts) -> list[Step]:
    """Return the steps, in at most two queries."""
    administrators = (
        User.objects.filter(
            Q(is_superuser=True) | Q(groups__name="Administrator"), is_active=True, is_staff=True
        )
        .distinct()
        .count()
    )
    actions = set(
        AuditTrailEntry.objects.filter(action__in=[Action.BACKUP_MADE, _TESTED])
        .values_list("action", flat=True)
        .distinct()
    )
    return [
        Step(
            "Set an endpoint",
            bool(endpoints.configured()),
            "Say where deliveries go, and restart.",
            command="ORBIT_DISPATCH_ENDPOINTS='[{\"key\": ..., \"url\": ..., \"token\": ...}]'",
        ),
        Step(
            "Send a test delivery",
            _TESTED in actions or facts["has_delivered"],
            "See that it answers. The delivery is marked as a test.",
            link="/admin/orbit/endpoints/",
            action="Endpoints",
        ),
        Step(
            "Schedule a run profile",
            any(True for _ in listed(facts, "next_runs")),
            "Give one a cron, or trigger a cycle by hand.",
            link="/admin/orbit/runprofile/",
            action="Run profiles",
        ),
        Step(
            "Add a second administrator",
            administrators > 1,
            "The author of a change can't approve it: it takes two.",
            link="/admin/auth/user/add/",
            action="Add a user",
        ),
        Step(
            "Make a backup",
            Action.BACKUP_MADE in actions,
            "The whole installation in one file, while it runs.",
            command="manage.py backup FILE",
        ),
    ]
