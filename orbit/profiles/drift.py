"""Do the files and the database go apart? Asked for every page of the console, so it costs two looks at file names and one row.

Files are read again when one of them was touched; the database's documents only where the files aren't those that were last applied, and
again when one of them was saved. What was worked out is kept in this process.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from orbit.models import AppliedFiles
from orbit.profiles import files, reload, revisions
from orbit.profiles.schema import PROFILES, RUN_PROFILES

SAVED = """SELECT (SELECT (count(*), max(updated_at), sum(revision))::text FROM orbit_profile WHERE NOT hidden),
    (SELECT (count(*), max(updated_at), sum(revision))::text FROM orbit_runprofile WHERE NOT hidden)"""

_known: dict[str, tuple[Any, str | None]] = {}


def standing() -> bool:
    """Tell whether files and database were both changed since the files were last applied, and differ: then the database stands.

    Files that can't be read or used don't count: the drift page says what is wrong with them.
    """
    folder = Path(settings.ORBIT_CONFIG_DIR)
    in_files = _kept("files", _touched(folder), lambda: _digest_of_files(folder))
    applied = AppliedFiles.objects.filter(id=1).values_list("sha256", flat=True).first()
    if in_files is None or not applied or in_files == applied:
        return False
    with connection.cursor() as cursor:
        cursor.execute(SAVED)
        saved = cursor.fetchone()
    in_database = _kept(
        "database",
        (connection.settings_dict["NAME"], saved),
        lambda: reload.digest_of(revisions.current()),
    )
    return in_database not in {in_files, applied}


def _kept(name: str, key: Any, make: Callable[[], str | None]) -> str | None:
    known = _known.get(name)
    if known is None or known[0] != key:
        known = _known[name] = (key, make())
    return known[1]


def _touched(folder: Path) -> tuple[Any, ...]:
    """Return what changes when a file is written or replaced."""
    found: list[Any] = [folder]
    for name in (PROFILES, RUN_PROFILES):
        try:
            status = os.stat(folder / name)  # noqa: PTH116 - one call
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _digest_of_files(folder: Path) -> str | None:
    documents, problems = files.read_what_can_be(folder)
    try:
        return None if problems else reload.digest_of(documents)
    except (TypeError, KeyError, ValueError):
        return None
