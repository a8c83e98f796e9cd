"""Where two documents differ, and where the files and the database do."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel.schemas import pointer
from orbit.profiles import reload, revisions
from orbit.profiles.files import Documents
from orbit.profiles.schema import PROFILES, RUN_PROFILES


class _Absent:
    """Where one side has nothing at all; JSON's null is a value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


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


@dataclass(frozen=True, slots=True)
class Change:
    """One place at which a later document differs from an earlier one; a side may be ABSENT."""

    pointer: str
    before: Any
    after: Any


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


def changes(before: Any, after: Any) -> list[Change]:
    """Return every place at which ``after`` differs from ``before``, in the order of its keys."""
    return [Change(pointer(path), left, right) for path, left, right in _walk((), before, after)]


def between(in_files: Documents, in_database: Documents) -> list[Difference]:
    """Return every difference of two sets of documents, in the order of files, ids and keys."""
    kinds = ((PROFILES, "profile_id", in_files.profiles, in_database.profiles),
             (RUN_PROFILES, "run_profile_id", in_files.run_profiles, in_database.run_profiles))  # fmt: skip
    return [
        Difference(file, name, pointer(path), left, right)
        for file, key, lefts, rights in kinds
        for name, before, after in _pairs(
            {document[key]: document for document in lefts},
            {document[key]: document for document in rights},
        )
        for path, left, right in _walk((), before, after)
    ]


def _pairs(left: dict[str, Any], right: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(left.keys() | right.keys()):
        yield name, left.get(name, ABSENT), right.get(name, ABSENT)


def _walk(
    path: tuple[str | int, ...], left: Any, right: Any
) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name, before, after in _pairs(left, right):
            yield from _walk((*path, name), before, after)
    elif isinstance(left, list) and isinstance(right, list):
        for number in range(max(len(left), len(right))):
            yield from _walk(
                (*path, number),
                *(side[number] if number < len(side) else ABSENT for side in (left, right)),
            )
    elif left is not right and (
        isinstance(left, bool) != isinstance(right, bool) or left != right
    ):  # Python's 1 == True is not JSON's
        yield path, left, right
