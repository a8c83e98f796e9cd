"""The documents that an actor sees."""

from django.db.models import Exists, OuterRef, QuerySet

from governance.access.actors import Actor
from orbit.models import Profile, RunProfile


def profiles(actor: Actor) -> QuerySet[Profile]:
    """Return the profiles, of a confined actor those that run in its namespaces."""
    rows = Profile.objects.filter(hidden=False)
    if actor.namespaces is None:
        return rows
    return rows.filter(Exists(run_profiles(actor).filter(profile=OuterRef("pk"))))


def run_profiles(actor: Actor) -> QuerySet[RunProfile]:
    """Return the run profiles that ``actor`` sees."""
    return RunProfile.objects.filter(actor.filter(), hidden=False)
