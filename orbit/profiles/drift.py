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
from orbit.dispatch.endpoints import EndpointsInvalid
from orbit.profiles import files, reload, revisions
from orbit.profiles.files import ConfigInvalid, Documents
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


@dataclass(frozen=True, slots=True)
class Report:
    """The differences in three buckets, and what Reload would do with them."""

    only_in_files: Sequence[Difference] = ()
    only_in_database: Sequence[Difference] = ()
    different: Sequence[Difference] = ()
    #: How many documents Reload would create, change and hide.
    created: int = 0
    changed: int = 0
    hidden: int = 0
    #: Cycles that block Reload, some of ``active``: id and namespace.
    blocking: Sequence[tuple[str, str]] = ()
    active: int = 0
    left_out: int = 0
    #: What is wrong with the files: then nothing is compared.
    errors: Sequence[dict[str, str]] | None = None

    @property
    def total(self) -> int:
        """How many documents differ."""
        return self.created + self.changed + self.hidden

    @property
    def sentence(self) -> str:
        """The answer in short, such as "3 documents drifted"."""
        if self.errors is not None:
            return "The configuration files are invalid"
        if not self.total:
            return "Nothing drifted"
        return "1 document drifted" if self.total == 1 else f"{self.total:,} documents drifted"


def report(*, actor: Actor) -> Report:
    """Compare the files with the database, and say what Reload would do now."""
    try:
        every = differences(actor=actor)
    except (ConfigInvalid, EndpointsInvalid) as refusal:
        return Report(errors=refusal.errors)
    buckets: dict[str, list[Difference]] = {"files": [], "database": [], "both": []}
    for difference in every:
        buckets[_bucket(difference)].append(difference)
    listed = bounded([difference for bucket in buckets.values() for difference in bucket])
    cycles = reload.active_cycles()
    return Report(
        only_in_files=[row for row in listed if _bucket(row) == "files"],
        only_in_database=[row for row in listed if _bucket(row) == "database"],
        different=[row for row in listed if _bucket(row) == "both"],
        created=len(buckets["files"]),
        changed=len({(row.file, row.id) for row in buckets["both"]}),
        hidden=len(buckets["database"]),
        blocking=[(cycle_id, namespace) for cycle_id, namespace, _ in cycles],
        active=cycles[0][2] if cycles else 0,
        left_out=len(every) - len(listed),
    )


def _bucket(difference: Difference) -> str:
    # Without a pointer the whole document is on one side only.
    if difference.pointer:
        return "both"
    return "files" if difference.in_database is ABSENT else "database"


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
