"""The two kinds of documents that the configuration is made of, and what each is called where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.audit.actions import Action
from orbit.errors import ProfileUnknown, RunProfileUnknown
from orbit.models import Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import schema, visible


@dataclass(frozen=True, slots=True)
class Kind:
    """``changed`` is what the audit trail calls an edit, ``key`` is the member that holds its id, ``owner`` the column of a revision that leads to it."""

    noun: str
    changed: Action
    key: str
    file: str
    path: str
    rows: type[Profile] | type[RunProfile]
    revisions: type[ProfileRevision] | type[RunProfileRevision]
    owner: str
    unknown: type[ProfileUnknown] | type[RunProfileUnknown]
    seen_by: Callable[[Actor], "QuerySet[Any]"]

    @property
    def words(self) -> str:
        """The noun in a sentence."""
        return self.noun.replace("_", " ")


PROFILE = Kind(
    "profile",
    Action.PROFILE_CHANGED,
    "profile_id",
    schema.PROFILES,
    "profiles",
    Profile,
    ProfileRevision,
    "profile",
    ProfileUnknown,
    visible.profiles,
)
RUN_PROFILE = Kind(
    "run_profile",
    Action.RUN_PROFILE_CHANGED,
    "run_profile_id",
    schema.RUN_PROFILES,
    "run-profiles",
    RunProfile,
    RunProfileRevision,
    "run_profile",
    RunProfileUnknown,
    visible.run_profiles,
)


def found(kind: Kind, name: str, *, actor: Actor) -> Any:
    """Return the row called ``name``. Raises ``kind.unknown``, also for one that ``actor`` doesn't see."""
    # PostgreSQL's text knows no NUL.
    row = None if "\x00" in name else kind.seen_by(actor).filter(**{kind.key: name}).first()
    if row is None:
        raise kind.unknown(f"There is no {kind.words} {name[:200]!r}.")
    return row
