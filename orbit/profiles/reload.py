"""Load the configuration files into the database, which is what runs.

``AppliedFiles`` keeps the SHA-256 of the files applied last: if the database's differs, users
edited it. Everything happens in one transaction under that row's lock.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.canonical import canonical_json, sha256_hex
from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint, EndpointsInvalid
from orbit.errors import CyclesActive
from orbit.models import AppliedFiles
from orbit.pipeline import registry
from orbit.profiles import autonomy_file, files, revisions, schema
from orbit.profiles.files import ConfigInvalid, Documents
from orbit.profiles.revisions import SaveResult, Source
from orbit.states import ACTIVE

log = logging.getLogger(__name__)

ACTIVE_CYCLES = sql.load(__name__, "active_cycles")


@dataclass(frozen=True, slots=True)
class Summary:
    """What applying the files did. Ids are ``profiles/ID`` or ``run-profiles/ID``."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    hidden: tuple[str, ...]
    unchanged: int
    namespaces: tuple[str, ...]  # that were created

    @property
    def sentence(self) -> str:
        """What happened."""
        return (
            f"Reloaded: {len(self.created)} created, {len(self.changed)} changed,"
            f" {len(self.hidden)} hidden, {self.unchanged} unchanged."
        )


def load_at_start() -> None:
    """Load the files before a process serves or executes; safe in several at once.

    Raises ConfigInvalid or EndpointsInvalid with every problem.
    """
    documents, warnings = read_checked(resolve=True, policies=True)
    for warning in warnings:
        log.warning("%s", warning)
    digest = digest_of(documents)
    if AppliedFiles.objects.filter(id=1, sha256=digest).exists():
        return
    # Digests of all documents take seconds: not under the lock.
    while not _load(documents, digest):
        pass


def _load(documents: Documents, digest: str) -> bool:
    """Apply the files if they may be applied; return False if the database changed meanwhile."""
    version = revisions.version()
    stored = revisions.current()
    stored_digest = digest_of(stored)
    made = _texts(documents)
    with audit.transaction():
        applied = revisions.lock()
        if applied == digest:
            return True  # another process did it meanwhile
        if revisions.version() != version:
            return False
        if stored_digest == digest:
            remember(digest)
        # Apply them to an empty database, or to one that wasn't edited since.
        elif applied == stored_digest or not (applied or stored.profiles or stored.run_profiles):
            _apply(
                documents,
                digest,
                made,
                source="files",
                actor=SYSTEM,
                reason="the files changed" if applied else "first load",
            )
        else:
            log.warning(
                "The configuration files changed, and so did the database: the database is used. "
                "See `config diff`. `config reload` takes the files, `config export` writes the "
                "database into them."
            )
    return True


def _texts(documents: Documents) -> tuple[list[str], list[str]]:
    return revisions.texts(documents.profiles), revisions.texts(documents.run_profiles)


def apply_files(*, actor: Actor, reason: str) -> Summary:
    """Make the database what the files say, all or nothing.

    Raises ConfigInvalid, EndpointsInvalid and CyclesActive.
    """
    actor.require(Scope.CONFIGURE)
    actor.require_workspace()
    documents, _ = read_checked()
    digest, made = digest_of(documents), _texts(documents)
    with audit.transaction():
        revisions.lock()  # no cycle can start between the check and the commit
        # Queued cycles don't count: they run on their snapshot.
        _ensure_no_active_cycles()
        return _apply(documents, digest, made, source="reload", actor=actor, reason=reason)


def read_checked(*, resolve: bool = False, policies: bool = False) -> tuple[Documents, list[str]]:
    """Return the checked documents of ``ORBIT_CONFIG_DIR``, and warnings.

    ``policies``: check ``autonomy.json`` too. Raises ConfigInvalid with every problem, or
    EndpointsInvalid if the files are valid.
    """
    by_key: Mapping[str, Endpoint] | None = None
    warnings: list[str] = []
    endpoints_invalid: EndpointsInvalid | None = None
    try:
        by_key, warnings = endpoints.parse(
            settings.ORBIT_DISPATCH_ENDPOINTS,
            settings.ORBIT_DISPATCH_ALLOWED_HOSTS,
            resolve=resolve,
        )
    except EndpointsInvalid as error:
        endpoints_invalid = error
    try:
        documents = _checked(Path(settings.ORBIT_CONFIG_DIR), by_key, policies=policies)
    except ConfigInvalid as error:
        if endpoints_invalid is None:
            raise
        raise ConfigInvalid(
            f"{error.detail}\n{endpoints_invalid.detail}",
            errors=[*error.errors, *_in_variable(endpoints_invalid)],
        ) from None
    if endpoints_invalid is not None:
        raise EndpointsInvalid(endpoints_invalid.detail, errors=_in_variable(endpoints_invalid))
    return documents, warnings


def _in_variable(error: EndpointsInvalid) -> list[dict[str, str]]:
    return [{"file": "ORBIT_DISPATCH_ENDPOINTS", **problem} for problem in error.errors]


def _checked(folder: Path, by_key: Mapping[str, Endpoint] | None, *, policies: bool) -> Documents:
    documents, problems = files.read_leniently(folder)
    problems += schema.check(
        documents.profiles,
        documents.run_profiles,
        profiles_known=schema.PROFILES not in {problem.file for problem in problems},
        endpoints=None if by_key is None else by_key.keys(),
        transformers=registry.option_checks(),
        processors=registry.processor_names(),
    )
    if policies:
        problems += autonomy_file.read(folder)[1]
    if problems:
        raise ConfigInvalid.of(problems)
    return documents


def digest_of(documents: Documents) -> str:
    """Return the documents' SHA-256, whatever their order in the files."""
    ordered: dict[str, Any] = {
        "profiles": sorted(documents.profiles, key=lambda document: document["profile_id"]),
        "run_profiles": sorted(
            documents.run_profiles, key=lambda document: document["run_profile_id"]
        ),
    }
    return sha256_hex(canonical_json(ordered))


def remember(digest: str) -> None:
    """Note that the files with this SHA-256 equal the database; needs the lock."""
    AppliedFiles.objects.filter(id=1).update(sha256=digest, applied_at=Now())


def active_cycles() -> list[tuple[Any, ...]]:
    """Return id, namespace and total of some active cycles: they block ``apply_files``."""
    return ACTIVE_CYCLES.rows(statuses=[str(status) for status in ACTIVE])


def _ensure_no_active_cycles() -> None:
    cycles = active_cycles()
    if not cycles:
        return
    total = cycles[0][2]
    listed = ", ".join(f"{cycle_id} in {namespace}" for cycle_id, namespace, _ in cycles)
    more = f" and {total - len(cycles)} more" if total > len(cycles) else ""
    raise CyclesActive(
        f"{total} cycle{'s are' if total != 1 else ' is'} active: {listed}{more}. "
        "Wait for their end, or cancel them (POST /cycles/ID/cancel, or Cancel in the console), "
        "and reload again.",
        active_cycle_run_ids=[cycle_id for cycle_id, _, _ in cycles],
    )


def _apply(
    documents: Documents,
    digest: str,
    made: tuple[list[str], list[str]],
    *,
    source: Source,
    actor: Actor,
    reason: str,
) -> Summary:
    saved = revisions.save(
        profiles=documents.profiles,
        run_profiles=documents.run_profiles,
        source=source,
        actor=actor,
        reason=reason,
        made=made,
    )
    # What the files don't name is hidden, not deleted: its history stays.
    others = revisions.hide_others(
        profiles=[document["profile_id"] for document in documents.profiles],
        run_profiles=[document["run_profile_id"] for document in documents.run_profiles],
    )
    remember(digest)
    summary = _summary(saved, others, total=len(documents.profiles) + len(documents.run_profiles))
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


def _summary(saved: SaveResult, others: SaveResult, *, total: int) -> Summary:
    created, changed, hidden = (
        (
            *(f"profiles/{key}" for key in of_profiles),
            *(f"run-profiles/{key}" for key in of_run_profiles),
        )
        for of_profiles, of_run_profiles in (
            (saved.profiles.created, saved.run_profiles.created),
            (saved.profiles.changed, saved.run_profiles.changed),
            (others.profiles.hidden, others.run_profiles.hidden),
        )
    )
    return Summary(created, changed, hidden, total - len(created) - len(changed), saved.namespaces)
