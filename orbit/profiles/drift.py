"""Drift: where the configuration files and the database differ."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import json_diff
from governance.kernel.json_diff import ABSENT
from governance.kernel.schemas import pointer
from orbit.profiles import files, reload, revisions
from orbit.profiles.files import Documents
from orbit.profiles.schema import PROFILES, RUN_PROFILES


@dataclass(frozen=True, slots=True)
class Difference:
    """A place at which a document differs. A side may be ``json_diff.ABSENT``."""

    file: str
    id: str
    pointer: str  # a JSON pointer into the document
    in_files: Any
    in_database: Any

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without an absent side."""
        sides = {"in_files": self.in_files, "in_database": self.in_database}
        return {
            "file": self.file,
            "id": self.id,
            "pointer": self.pointer,
            **{name: value for name, value in sides.items() if value is not ABSENT},
        }


def differences(*, actor: Actor) -> list[Difference]:
    """Compare the files with the database. Raises as ``reload.read_checked`` does."""
    actor.require(Scope.READ)
    # Files and database hold the documents of all namespaces.
    actor.require_workspace()
    return between(reload.read_checked()[0], revisions.current())


def bounded(
    differences: Sequence[Difference], *, most: int = 500, characters: int = 1_000_000
) -> list[Difference]:
    """Return the ``differences`` that fit into an answer, at least one."""
    fitting: list[Difference] = []
    for difference in differences[:most]:
        characters -= len(json.dumps(difference.to_dict()))
        if fitting and characters < 0:
            break
        fitting.append(difference)
    return fitting


def between(in_files: Documents, in_database: Documents) -> list[Difference]:
    """Return the differences, sorted by file, id and key."""
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


def both_changed(applied: str | None) -> bool:
    """Tell whether files and database both changed since the last load, and differ.

    ``applied`` is the digest of the files that were loaded last.
    """
    # Asked often. Documents are read only if their version has changed.
    folder = Path(settings.ORBIT_CONFIG_DIR)
    in_files = _digest_of_files(folder, _versions(folder))
    # Invalid files don't count: the drift page lists their problems.
    if in_files is None or not applied or in_files == applied:
        return False
    version = revisions.version()
    in_database = _digest_of_database(str(connection.settings_dict["NAME"]), version)
    return in_database not in {in_files, applied}


def _versions(folder: Path) -> tuple[tuple[int, int, int] | None, ...]:
    versions: list[tuple[int, int, int] | None] = []
    for name in (PROFILES, RUN_PROFILES):
        try:
            status = (folder / name).stat()
        except OSError:
            versions.append(None)
        else:
            # A write changes size or time, a replacement the inode.
            versions.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(versions)


@functools.lru_cache(maxsize=1)
def _digest_of_files(folder: Path, versions: tuple[Any, ...]) -> str | None:
    documents, problems = files.read_leniently(folder)
    try:
        return None if problems else reload.digest_of(documents)
    except (TypeError, KeyError, ValueError):
        return None


@functools.lru_cache(maxsize=1)
def _digest_of_database(database: str, version: tuple[Any, ...] | None) -> str:
    return reload.digest_of(revisions.current())
