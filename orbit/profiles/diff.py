"""Where the files and the database differ, and the way back: the database written into the files."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

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
        return {"file": self.file, "id": self.id, "pointer": self.pointer, **{name: value for name, value in sides.items() if value is not ABSENT}}


def differences() -> list[Difference]:
    """Compare the files, which are checked first, with what runs; an empty list when they say the same. Raises as ``reload.read_checked`` does."""
    return between(reload.read_checked()[0], revisions.current())


def between(in_files: Documents, in_database: Documents) -> list[Difference]:
    """Return every difference of two sets of documents, in the order of files, ids and keys."""
    kinds = ((PROFILES, "profile_id", in_files.profiles, in_database.profiles),
             (RUN_PROFILES, "run_profile_id", in_files.run_profiles, in_database.run_profiles))  # fmt: skip
    return [
        Difference(file, name, pointer(path), left, right)
        for file, key, lefts, rights in kinds
        for name, before, after in _pairs({document[key]: document for document in lefts}, {document[key]: document for document in rights})
        for path, left, right in _walk((), before, after)
    ]


def places(left: Any, right: Any) -> list[tuple[str, Any, Any]]:
    """Return every place at which two JSON values differ, as pointer and both values; a side may be ABSENT."""
    return [(pointer(path), before, after) for path, before, after in _walk((), left, right)]


def export(folder: Path) -> list[Path]:
    """Write what runs into the files of ``folder``, so that a reload would change nothing; the same content gives the same bytes.

    Each file is replaced whole or not at all. Raises OSError where the folder can't be written.
    """
    with transaction.atomic():
        revisions.lock()
        documents = revisions.current()
        written = [_replace(folder / PROFILES, documents.profiles), _replace(folder / RUN_PROFILES, documents.run_profiles)]
        reload.remember(reload.digest_of(documents))
    return written


def _pairs(left: dict[str, Any], right: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(left.keys() | right.keys()):
        yield name, left.get(name, ABSENT), right.get(name, ABSENT)


def _walk(path: tuple[str | int, ...], left: Any, right: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name, before, after in _pairs(left, right):
            yield from _walk((*path, name), before, after)
    elif isinstance(left, list) and isinstance(right, list):
        for number in range(max(len(left), len(right))):
            yield from _walk((*path, number), *(side[number] if number < len(side) else ABSENT for side in (left, right)))
    elif left is not right and (isinstance(left, bool) != isinstance(right, bool) or left != right):  # Python's 1 == True is not JSON's
        yield path, left, right


def _replace(path: Path, documents: list[Any]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(documents, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
