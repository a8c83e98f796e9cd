"""Write profiles and run profiles; each change is a revision.

Writers lock the row of ``AppliedFiles`` exclusively, starts of cycles share it: a writer sees every
cycle started before it, and none starts until it commits.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from governance.access.actors import Actor
from governance.kernel import sql
from governance.kernel.sql import Statement
from governance.namespaces import registry
from orbit.models import Profile, RunProfile
from orbit.profiles.files import Documents

Source = Literal["files", "reload", "admin", "api"]

LOCK = sql.load(__name__, "lock_configuration")
SAVE_PROFILES = sql.load(__name__, "save_profiles")
SAVE_RUN_PROFILES = sql.load(__name__, "save_run_profiles")
HIDE_PROFILES = sql.load(__name__, "hide_other_profiles")
HIDE_RUN_PROFILES = sql.load(__name__, "hide_other_run_profiles")


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
) -> SaveResult:
    """Write valid documents and create missing namespaces, in the caller's transaction.

    Raises ValueError if a profile is missing. The caller records the audit entry.
    """
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
        _write(SAVE_PROFILES, profiles, authorship),
        _write(SAVE_RUN_PROFILES, run_profiles, authorship),
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
    statement: Statement, documents: Iterable[dict[str, Any]], authorship: dict[str, str]
) -> DocumentChanges:
    texts = [json.dumps(document) for document in documents]
    if not texts:
        return DocumentChanges()
    written = statement.rows(documents=texts, **authorship)
    return DocumentChanges(
        created=tuple(key for key, new in written if new),
        changed=tuple(key for key, new in written if not new),
    )


def _hide(statement: Statement, keep: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(key for (key,) in statement.rows(keep=list(keep))))
