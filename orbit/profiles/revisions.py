"""Write profiles and run profiles: many documents in two statements, each change a revision.

All writers, and the starts of cycles, lock the one row of ``AppliedFiles``: a writer exclusively,
triggers shared. So a writer sees every cycle that was started before it, and no cycle can start
until it has committed.
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
    """Ids of one kind of document.

    ``changed`` got another revision or are visible again.
    """

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What ``save`` or ``hide_others`` did. ``namespaces`` were created."""

    profiles: DocumentChanges
    run_profiles: DocumentChanges
    namespaces: tuple[str, ...] = ()


def lock() -> str:
    """Lock out other writers and the starts of cycles until this transaction ends.

    Returns the SHA-256 of the files that were applied last, or an empty text.
    """
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
    """Write valid documents inside the caller's transaction, and create missing namespaces.

    Each document that differs from what is stored gets the next revision. Raises ValueError for a
    run profile whose profile is neither given nor stored. The caller records the audit entry.
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
    """Hide what isn't named, inside the caller's transaction. Its history stays."""
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
