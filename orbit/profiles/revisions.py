"""The one door that writes profiles and run profiles: many documents in two statements, each change a revision.

All writers, and the starts of cycles, meet at the one row of ``AppliedFiles``: a writer holds it alone, triggers share it. So a
writer sees every cycle that was started before it, and none can start until it has committed.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection

from governance.access.actors import Actor
from governance.namespaces import registry
from orbit.models import Profile, RunProfile
from orbit.profiles.files import Documents

Source = Literal["files", "reload", "admin", "api"]

LOCK = "SELECT sha256 FROM orbit_appliedfiles WHERE id = 1 FOR UPDATE"

# A document that is the same makes no revision; one that was hidden and comes back the same is shown again under its old number.
_SAVE = """WITH given AS (
    SELECT d ->> '{key}' AS key, d AS document FROM unnest(%(documents)s::text[]::jsonb[]) AS d),
kept AS (
    SELECT t.id, t.{key} AS key, t.revision, t.hidden, t.document = given.document AS same FROM {table} t JOIN given ON given.key = t.{key}),
written AS (
    INSERT INTO {table} AS t ({key}, state, document, revision, {columns})
    SELECT given.key, given.document ->> 'state', given.document, coalesce(kept.revision, 0) + (kept.same IS NOT TRUE)::int, {values}
    FROM given LEFT JOIN kept ON kept.key = given.key {join}
    WHERE kept.same IS NOT TRUE OR kept.hidden
    ON CONFLICT ({key}) DO UPDATE SET state = excluded.state, document = excluded.document, revision = excluded.revision,
        hidden = false, updated_at = now(), {updates}
    RETURNING t.id, t.{key} AS key, t.revision, t.document),
history AS (
    INSERT INTO {revisions} ({owner}, number, document, author, source, reason)
    SELECT written.id, written.revision, written.document, %(author)s, %(source)s, %(reason)s
    FROM written LEFT JOIN kept ON kept.key = written.key WHERE kept.same IS NOT TRUE)
SELECT written.key, kept.id IS NULL FROM written LEFT JOIN kept ON kept.key = written.key ORDER BY written.key"""

SAVE_PROFILES = _SAVE.format(
    table="orbit_profile", revisions="orbit_profilerevision", owner="profile_id", key="profile_id",
    columns="label", values="given.document ->> 'label'", updates="label = excluded.label", join="")  # fmt: skip
SAVE_RUN_PROFILES = _SAVE.format(
    table="orbit_runprofile", revisions="orbit_runprofilerevision", owner="run_profile_id", key="run_profile_id",
    columns="profile_id, namespace", values="p.id, given.document ->> 'namespace'",
    updates="profile_id = excluded.profile_id, namespace = excluded.namespace",
    join="JOIN orbit_profile p ON p.profile_id = given.document ->> 'profile_id'")  # fmt: skip

HIDE_PROFILES = """UPDATE orbit_profile SET hidden = true, updated_at = now()
    WHERE NOT hidden AND profile_id <> ALL(%s::text[]) RETURNING profile_id"""
HIDE_RUN_PROFILES = """UPDATE orbit_runprofile SET hidden = true, updated_at = now()
    WHERE NOT hidden AND run_profile_id <> ALL(%s::text[]) RETURNING run_profile_id"""


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of one kind of document: what was made, what got another revision or was shown again, what was hidden."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """What a call of ``save`` or ``hide_others`` did; ``namespaces`` are those that were born of it."""

    profiles: Changes
    run_profiles: Changes
    namespaces: tuple[str, ...] = ()


def lock() -> str:
    """Keep other writers, and the starts of cycles, waiting until this transaction ends; return the SHA-256 of the files last applied."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError(
            "The table orbit_appliedfiles has lost its row. Run manage.py migrate on a fresh database, or insert (1, '')."
        )
    return str(row[0])


def save(
    *,
    profiles: Sequence[dict[str, Any]] = (),
    run_profiles: Sequence[dict[str, Any]] = (),
    source: Source,
    actor: Actor,
    reason: str = "",
) -> Saved:
    """Write checked documents inside the caller's transaction; each that differs from what is stored gets the next revision.

    Namespaces that run profiles name are made. Raises ValueError for a run profile whose profile is neither given nor stored.
    The caller records the deed.
    """
    lock()
    who = {"author": actor.name, "source": source, "reason": reason}
    made = registry.ensure(document["namespace"] for document in run_profiles)
    missing = {document["profile_id"] for document in run_profiles} - {
        document["profile_id"] for document in profiles
    }
    if missing and (
        missing := missing.difference(
            Profile.objects.filter(profile_id__in=missing).values_list("profile_id", flat=True)
        )
    ):
        raise ValueError(f"There is no profile {', '.join(sorted(missing))}.")
    return Saved(
        _write(SAVE_PROFILES, profiles, who),
        _write(SAVE_RUN_PROFILES, run_profiles, who),
        tuple(made),
    )


def hide_others(*, profiles: Collection[str], run_profiles: Collection[str]) -> Saved:
    """Hide what isn't named, inside the caller's transaction; its history stays."""
    return Saved(
        Changes(hidden=_hide(HIDE_PROFILES, profiles)),
        Changes(hidden=_hide(HIDE_RUN_PROFILES, run_profiles)),
    )


def current() -> Documents:
    """Return the documents that run now, sorted by id."""
    return Documents(
        profiles=list(
            Profile.objects.filter(hidden=False)
            .order_by("profile_id")
            .values_list("document", flat=True)
        ),
        run_profiles=list(
            RunProfile.objects.filter(hidden=False)
            .order_by("run_profile_id")
            .values_list("document", flat=True)
        ),
    )


def _write(statement: str, documents: Iterable[dict[str, Any]], who: dict[str, str]) -> Changes:
    texts = [json.dumps(document) for document in documents]
    if not texts:
        return Changes()
    with connection.cursor() as cursor:
        cursor.execute(statement, {"documents": texts, **who})
        rows = cursor.fetchall()
    return Changes(
        created=tuple(key for key, new in rows if new),
        changed=tuple(key for key, new in rows if not new),
    )


def _hide(statement: str, keep: Collection[str]) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(keep)])
        return tuple(sorted(row[0] for row in cursor.fetchall()))
