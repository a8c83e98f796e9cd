"""Write profiles and run profiles; each change is a revision.

Writers lock the row of ``AppliedFiles`` exclusively, starts of cycles share it: a writer sees every
cycle started before it, and none starts until it commits.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from governance.access.actors import Actor
from governance.kernel import sql
from governance.kernel.sql import Statement
from governance.namespaces import registry
from orbit.models import Profile, RunProfile
from orbit.profiles.files import Documents

Source = Literal["files", "reload", "admin", "api", "proposal", "autonomy"]

LOCK = sql.load(__name__, "lock_configuration")
SAVE_PROFILES = sql.load(__name__, "save_profiles")
SAVE_RUN_PROFILES = sql.load(__name__, "save_run_profiles")
HIDE_PROFILES = sql.load(__name__, "hide_other_profiles")
HIDE_RUN_PROFILES = sql.load(__name__, "hide_other_run_profiles")
SAVED_VERSION = sql.load(__name__, "saved_version")

_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DocumentChanges:
    """Ids of one kind of document."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # got a revision, or are visible again
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What ``save`` or ``hide_others`` did."""

    profiles: DocumentChanges
    run_profiles: DocumentChanges
    namespaces: tuple[str, ...] = ()  # that were created


def version() -> tuple[Any, ...] | None:
    """Return what changes with every saved visible document. Cheaper than reading them."""
    return SAVED_VERSION.one()


def texts(documents: Iterable[dict[str, Any]]) -> list[str]:
    """Return documents as ``save`` sends them. Make them before its transaction."""
    return [json.dumps(document) for document in documents]


def lock() -> str:
    """Lock out other writers and starts of cycles; return the applied files' SHA-256."""
    row = LOCK.one()
    if row is None:
        raise RuntimeError(
            "The table orbit_appliedfiles has lost its row. "
            "Run manage.py migrate on a fresh database, or insert (1, '')."
        )
    return str(row[0])


def save(
    *,
    profiles: Sequence[dict[str, Any]] = (),
    run_profiles: Sequence[dict[str, Any]] = (),
    source: Source,
    actor: Actor,
    reason: str = "",
    made: tuple[list[str], list[str]] | None = None,
) -> SaveResult:
    """Write valid documents and create missing namespaces, in the caller's transaction.

    ``made`` are the ``texts`` of both. Raises ValueError if a profile is missing. The caller
    records the audit entry.
    """
    made = made or (texts(profiles), texts(run_profiles))
    lock()
    created = registry.ensure(document["namespace"] for document in run_profiles)
    missing = {document["profile_id"] for document in run_profiles}
    missing -= {document["profile_id"] for document in profiles}
    if missing:
        stored = Profile.objects.filter(profile_id__in=missing)
        missing -= set(stored.values_list("profile_id", flat=True))
    if missing:
        raise ValueError(f"There is no profile {', '.join(sorted(missing))}.")
    authorship = {"author": actor.name, "source": source, "reason": reason}
    return SaveResult(
        _write(SAVE_PROFILES, made[0], authorship),
        _write(SAVE_RUN_PROFILES, made[1], authorship),
        tuple(created),
    )


def hide_others(*, profiles: Collection[str], run_profiles: Collection[str]) -> SaveResult:
    """Hide what isn't named, in the caller's transaction."""
    return SaveResult(
        DocumentChanges(hidden=_hide(HIDE_PROFILES, profiles)),
        DocumentChanges(hidden=_hide(HIDE_RUN_PROFILES, run_profiles)),
    )


def current() -> Documents:
    """Return the visible documents, sorted by id."""
    profiles = Profile.objects.filter(hidden=False).order_by("profile_id")
    run_profiles = RunProfile.objects.filter(hidden=False).order_by("run_profile_id")
    return Documents(
        profiles=list(profiles.values_list("document", flat=True)),
        run_profiles=list(run_profiles.values_list("document", flat=True)),
    )


def _write(
    statement: Statement, documents: Sequence[str], authorship: dict[str, str]
) -> DocumentChanges:
    written: list[tuple[Any, ...]] = []
    for part in _parts(documents):
        written += statement.send(documents=part, **authorship)
    return DocumentChanges(
        created=tuple(sorted(key for key, new in written if new)),
        changed=tuple(sorted(key for key, new in written if not new)),
    )


def _parts(documents: Sequence[str]) -> Iterator[list[str]]:
    """Yield ``documents`` in parts of a few megabytes, so that no statement takes long to send."""
    part: list[str] = []
    size = 0
    for document in documents:
        if part and size + len(document) > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(document)
        size += len(document)
    if part:
        yield part


def _hide(statement: Statement, keep: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(key for (key,) in statement.rows(keep=list(keep))))
