"""The two kinds of configuration documents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.audit.actions import Action
from orbit.errors import ProfileUnknown, RunProfileUnknown
from orbit.models import Profile, ProfileRevision, RunProfile, RunProfileRevision
from orbit.profiles import schema, visible

Row = TypeVar("Row", bound=Profile | RunProfile)
Revision = TypeVar("Revision", bound=ProfileRevision | RunProfileRevision)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row, Revision]):
    """A kind of document: its models, names and errors."""

    noun: str
    key: str  # the member that holds a document's id
    file: str
    path: str  # in REST
    rows: type[Row]
    revisions: type[Revision]
    owner: str  # a revision's column that refers to the row
    changed: Action  # the audit action of an edit
    unknown: type[ProfileUnknown] | type[RunProfileUnknown]
    visible_to: Callable[[Actor], "QuerySet[Row]"]

    @property
    def words(self) -> str:
        """The noun in a sentence."""
        return self.noun.replace("_", " ")

    def lookup(self, name: str, *, actor: Actor, document: bool = True) -> Row | None:
        """Return the row ``name`` if ``actor`` sees it, else None.

        Without ``document`` that is read when it is looked at.
        """
        if "\x00" in name:  # PostgreSQL's text can't hold it
            return None
        rows = self.visible_to(actor).filter(**{self.key: name})
        return (rows if document else rows.defer("document")).first()

    def find(self, name: str, *, actor: Actor, document: bool = True) -> Row:
        """Return the row ``name``. Raises ``unknown`` if ``actor`` doesn't see it."""
        row = self.lookup(name, actor=actor, document=document)
        if row is None:
            raise self.unknown(f"There is no {self.words} {name[:200]!r}.")
        return row


PROFILE = Kind(
    noun="profile",
    key="profile_id",
    file=schema.PROFILES,
    path="profiles",
    rows=Profile,
    revisions=ProfileRevision,
    owner="profile",
    changed=Action.PROFILE_CHANGED,
    unknown=ProfileUnknown,
    visible_to=visible.profiles,
)
RUN_PROFILE = Kind(
    noun="run_profile",
    key="run_profile_id",
    file=schema.RUN_PROFILES,
    path="run-profiles",
    rows=RunProfile,
    revisions=RunProfileRevision,
    owner="run_profile",
    changed=Action.RUN_PROFILE_CHANGED,
    unknown=RunProfileUnknown,
    visible_to=visible.run_profiles,
)
# For code that handles both kinds.
AnyKind = Kind[Profile, ProfileRevision] | Kind[RunProfile, RunProfileRevision]
AnyRow = Profile | RunProfile
AnyRevision = ProfileRevision | RunProfileRevision
