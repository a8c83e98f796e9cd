"""Where two documents differ, and where the files and the database do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import json_diff
from governance.kernel.json_diff import ABSENT
from governance.kernel.schemas import pointer
from orbit.profiles import reload, revisions
from orbit.profiles.files import Documents
from orbit.profiles.schema import PROFILES, RUN_PROFILES


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which a document differs: its file and id, the JSON pointer inside it, and both values; a side may be ABSENT."""

    file: str
    id: str
    pointer: str
    in_files: Any
    in_database: Any

    def as_json(self) -> dict[str, Any]:
        """Return it for an answer; the key of an absent side is left out."""
        sides = {"in_files": self.in_files, "in_database": self.in_database}
        return {
            "file": self.file,
            "id": self.id,
            "pointer": self.pointer,
            **{name: value for name, value in sides.items() if value is not ABSENT},
        }


def differences(*, actor: Actor) -> list[Difference]:
    """Compare the files, which are checked first, with what runs; an empty list when they say the same.

    Both hold the documents of all namespaces: who is confined to some is refused. Raises as ``reload.read_checked`` does.
    """
    actor.require(Scope.READ)
    actor.require_workspace()
    return between(reload.read_checked()[0], revisions.current())


def bounded(
    found: Sequence[Difference], *, most: int = 500, characters: int = 1_000_000
) -> list[Difference]:
    """Return as many of ``found`` as fit on a page or into an answer, the first one always."""
    shown: list[Difference] = []
    for one in found[:most]:
        characters -= len(json.dumps(one.as_json()))
        if shown and characters < 0:
            break
        shown.append(one)
    return shown


def between(in_files: Documents, in_database: Documents) -> list[Difference]:
    """Return every difference of two sets of documents, sorted by file, id and key."""
    kinds = (
        (PROFILES, "profile_id", in_files.profiles, in_database.profiles),
        (RUN_PROFILES, "run_profile_id", in_files.run_profiles, in_database.run_profiles),
    )
    return [
        # The first step of a path is the document's id.
        Difference(file, str(path[0]), pointer(path[1:]), left, right)
        for file, key, lefts, rights in kinds
        for path, left, right in json_diff.walk(
            {document[key]: document for document in lefts},
            {document[key]: document for document in rights},
        )
    ]
