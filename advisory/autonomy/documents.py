"""A change of a profile or run profile, made before the transaction that writes it.

One audit entry of autonomy records it, so it isn't saved through ``orbit.profiles.edit``.
"""

from dataclasses import dataclass
from typing import Any, Self

from governance import audit
from governance.access.actors import Actor
from governance.audit.chain import Stored
from orbit.profiles import revisions
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.states import ProfileState


@dataclass(frozen=True, slots=True)
class Change:
    """The document of a revision, and what replaces it."""

    kind: AnyKind
    document: dict[str, Any]
    text: str
    before: Stored
    after: Stored

    @classmethod
    def of(
        cls,
        kind: AnyKind,
        name: str,
        number: int,
        *,
        state: ProfileState | None = None,
        back_to: int | None = None,
    ) -> Self:
        """Return the change of revision ``number``: another ``state``, or back to a revision."""
        earlier = _document(kind, name, number)
        document = {**earlier, "state": str(state)} if state else earlier
        if back_to is not None:
            document = _document(kind, name, back_to)
        [text] = revisions.texts([document])
        return cls(kind, document, text, audit.stored(earlier), audit.stored(document))

    def write(self, *, actor: Actor, reason: str) -> None:
        """Write it in the caller's transaction, which holds the lock of the configuration."""
        is_profile = self.kind is PROFILE
        revisions.save(
            profiles=[self.document] if is_profile else [],
            run_profiles=[] if is_profile else [self.document],
            source="autonomy",
            actor=actor,
            reason=reason,
            made=([self.text], []) if is_profile else ([], [self.text]),
        )


def _document(kind: AnyKind, name: str, number: int) -> dict[str, Any]:
    owner = f"{kind.owner}__{kind.key}"
    row = kind.revisions.objects.get(**{owner: name, "number": number})
    document: dict[str, Any] = row.document
    return document
