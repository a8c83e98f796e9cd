"""From the files into the database: at the start of a process, and by `config reload`.

The database is what runs; the files are its source. ``AppliedFiles`` keeps the SHA-256 of what was last applied, computed over the
documents' canonical form, sorted by id. So does the database's own content have one, and where the two differ somebody edited it.
All of it happens under that row's lock and in one transaction: a crash leaves everything as it was.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.canonical import canonical_json, sha256_hex
from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint, EndpointsInvalid
from orbit.errors import CyclesActive
from orbit.models import AppliedFiles
from orbit.pipeline import registry
from orbit.profiles import files, revisions, schema
from orbit.profiles.files import ConfigInvalid, Documents
from orbit.profiles.revisions import Saved, Source
from orbit.states import ACTIVE

log = logging.getLogger(__name__)

_ACTIVE = """SELECT id::text, namespace, count(*) OVER () FROM orbit_cyclerun WHERE status = ANY(%s) ORDER BY id LIMIT 20"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What applying the files did. Ids stand as ``profiles/ID`` and ``run-profiles/ID``; ``namespaces`` were born of it."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    hidden: tuple[str, ...]
    unchanged: int
    namespaces: tuple[str, ...]


def load_at_start() -> None:
    """Check files and endpoints, and have the database loaded, before a process serves or executes.

    An empty database takes the files; files that changed are applied when nobody edited the database since, else the database stands and
    a warning says so. Nothing is written when the files are those that were last applied. Cycles that are active are no obstacle: they
    run on their snapshot. Safe in several processes at once. Raises ConfigInvalid or EndpointsInvalid with every error.
    """
    documents, warnings = read_checked(resolve=True)
    for warning in warnings:
        log.warning("%s", warning)
    digest = digest_of(documents)
    if AppliedFiles.objects.filter(id=1, sha256=digest).exists():
        return
    with audit.transaction():
        applied = revisions.lock()
        if applied == digest:
            return  # another process was quicker
        stored = revisions.current()
        if digest_of(stored) == digest:
            remember(digest)
        elif applied == digest_of(stored) or not (
            applied or stored.profiles or stored.run_profiles
        ):
            _apply(
                documents,
                digest,
                source="files",
                actor=SYSTEM,
                reason="the files changed" if applied else "first load",
            )
        else:
            log.warning(
                "The configuration files changed, and so did the database: the database stands. See `config diff`; "
                "`config reload` takes the files, `config export` writes the database into them."
            )


def apply_files(*, actor: Actor, reason: str) -> Summary:
    """Make the database what the files say, all or nothing; what they don't name is hidden, and its history stays.

    Raises ConfigInvalid or EndpointsInvalid with every error, and CyclesActive while any cycle is active; none can start in between. A cycle
    that is queued is none: it has its snapshot, and runs on that.
    """
    actor.require(Scope.CONFIGURE)
    actor.require_workspace()
    documents, _ = read_checked()
    with audit.transaction():
        revisions.lock()
        _refuse_while_active()
        return _apply(documents, digest_of(documents), source="reload", actor=actor, reason=reason)


def read_checked(*, resolve: bool = False) -> tuple[Documents, list[str]]:
    """Return the documents of ``ORBIT_CONFIG_DIR`` and warnings, after a check of files and endpoints together; touches no database.

    With ``resolve`` the endpoints' names are looked up too. Raises ConfigInvalid, or EndpointsInvalid where the endpoints alone are
    wrong, with every error.
    """
    known: Mapping[str, Endpoint] | None = None
    warnings: list[str] = []
    wrong: EndpointsInvalid | None = None
    try:
        known, warnings = endpoints.parse(
            settings.ORBIT_DISPATCH_ENDPOINTS,
            settings.ORBIT_DISPATCH_ALLOWED_HOSTS,
            resolve=resolve,
        )
    except EndpointsInvalid as error:
        wrong = error
    try:
        documents = _checked(Path(settings.ORBIT_CONFIG_DIR), known)
    except ConfigInvalid as error:
        if wrong is None:
            raise
        raise ConfigInvalid(
            f"{error.detail}\n{wrong.detail}", errors=[*error.errors, *_placed(wrong)]
        ) from None
    if wrong is not None:
        raise EndpointsInvalid(wrong.detail, errors=_placed(wrong))
    return documents, warnings


def _placed(wrong: EndpointsInvalid) -> list[dict[str, str]]:
    return [{"file": "ORBIT_DISPATCH_ENDPOINTS", **found} for found in wrong.errors]


def _checked(folder: Path, known: Mapping[str, Endpoint] | None) -> Documents:
    documents, found = files.read_what_can_be(folder)
    found += schema.check(
        documents.profiles,
        documents.run_profiles,
        profiles_known=schema.PROFILES not in {problem.file for problem in found},
        endpoints=None if known is None else known.keys(),
        transformers=registry.option_checks(),
        processors=registry.processor_names(),
    )
    if found:
        raise ConfigInvalid.of(found)
    return documents


def digest_of(documents: Documents) -> str:
    """Return the SHA-256 of the documents' canonical form, whatever their order in the files."""
    ordered: dict[str, Any] = {
        "profiles": sorted(documents.profiles, key=lambda document: document["profile_id"]),
        "run_profiles": sorted(
            documents.run_profiles, key=lambda document: document["run_profile_id"]
        ),
    }
    return sha256_hex(canonical_json(ordered))


def remember(digest: str) -> None:
    """Note, under the lock, that the files with this SHA-256 and the database say the same now."""
    AppliedFiles.objects.filter(id=1).update(sha256=digest, applied_at=Now())


def _refuse_while_active() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, [[str(status) for status in ACTIVE]])
        rows = cursor.fetchall()
    if not rows:
        return
    total = rows[0][2]
    named = ", ".join(f"{cycle} in {namespace}" for cycle, namespace, _ in rows)
    more = f" and {total - len(rows)} more" if total > len(rows) else ""
    raise CyclesActive(
        f"{total} cycle{'s are' if total != 1 else ' is'} active: {named}{more}. Wait for their end, or cancel them "
        "(POST /cycles/ID/cancel, or Cancel in the console), and reload again.",
        active_cycle_run_ids=[cycle for cycle, _, _ in rows],
    )


def _apply(
    documents: Documents, digest: str, *, source: Source, actor: Actor, reason: str
) -> Summary:
    saved = revisions.save(
        profiles=documents.profiles,
        run_profiles=documents.run_profiles,
        source=source,
        actor=actor,
        reason=reason,
    )
    rest = revisions.hide_others(
        profiles=[document["profile_id"] for document in documents.profiles],
        run_profiles=[document["run_profile_id"] for document in documents.run_profiles],
    )
    remember(digest)
    summary = _summary(saved, rest, total=len(documents.profiles) + len(documents.run_profiles))
    after = {
        "counts": {
            "created": len(summary.created),
            "changed": len(summary.changed),
            "hidden": len(summary.hidden),
            "unchanged": summary.unchanged,
        },
        "created": summary.created,
        "changed": summary.changed,
        "hidden": summary.hidden,
        "namespaces": summary.namespaces,
        "sha256": digest,
    }
    audit.record(
        Action.CONFIG_RELOADED,
        actor=actor.name,
        object_id=source,
        after=after,
        reason=reason,
    )
    return summary


def _summary(saved: Saved, rest: Saved, *, total: int) -> Summary:
    created, changed, hidden = (
        (
            *(f"profiles/{key}" for key in of_profiles),
            *(f"run-profiles/{key}" for key in of_run_profiles),
        )
        for of_profiles, of_run_profiles in (
            (saved.profiles.created, saved.run_profiles.created),
            (saved.profiles.changed, saved.run_profiles.changed),
            (rest.profiles.hidden, rest.run_profiles.hidden),
        )
    )
    return Summary(created, changed, hidden, total - len(created) - len(changed), saved.namespaces)
