"""The checklist of a new installation, ticked from data."""

from dataclasses import dataclass

from orbit_site.overview.facts import Facts, has_endpoints, listed


@dataclass(frozen=True, slots=True)
class Step:
    """One step: done by a click on ``link`` or by ``command``."""

    title: str
    done: bool
    text: str
    link: str = ""
    action: str = ""
    command: str = ""


def steps(facts: Facts) -> list[Step]:
    """Return the steps; none needs a query."""
    return [
        Step(
            "Set an endpoint",
            has_endpoints(facts),
            "Say where deliveries go, and restart.",
            command='ORBIT_DISPATCH_ENDPOINTS=\'[{"key": ..., "url": ..., "token": ...}]\'',
        ),
        Step(
            "Send a test delivery",
            facts["has_tested"] or facts["has_delivered"],
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
            facts["administrators"] > 1,
            "The author of a change can't approve it: it takes two.",
            link="/admin/auth/user/add/",
            action="Add a user",
        ),
        Step(
            "Make a backup",
            facts["has_backup"],
            "The whole installation in one file, while it runs.",
            command="manage.py backup FILE",
        ),
    ]
