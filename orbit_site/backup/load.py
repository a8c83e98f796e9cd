"""Restore a backup to an empty installation.

One transaction loads, verifies and audits, so a failed or killed restore changes nothing. Then this
release's migrations run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from psycopg import sql

from governance import audit
from governance.access.actors import Actor
from governance.audit import verify
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.sql import load as load_statement
from orbit.models import EndpointSnapshot
from orbit.outbound import secrets
from orbit_site.backup import container, manifest, programs, script, target
from orbit_site.backup.container import Backup
from orbit_site.backup.manifest import Manifest
from orbit_site.management.commands.migrate import as_owner, ensure_schema

# Loading takes longer than the time-outs of Orbit's sessions allow.
BEGIN = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '10s'"
NO_MIGRATION = "SELECT pg_try_advisory_xact_lock(hashtext('orbit.migrate'), hashtext(%s))"
# The script changes these.
RESET = "RESET search_path; RESET check_function_bodies; RESET row_security"
LIST_FUNCTIONS = load_statement(__name__, "list_functions")
COUNT_IN_FLIGHT = load_statement(__name__, "count_in_flight")

#: Called with the step, the bytes that are done and the bytes of the step.
Progress = Callable[[str, int, int], None]
#: Called with what an unsigned file can do; raises to refuse it.
Accept = Callable[[str], None]


class Differs(OrbitError):
    """The restored data differ from the manifest."""

    code, kind = "restore_differs", Kind.CONFLICT


class NotMigrated(OrbitError):
    """The backup is restored, but a migration failed."""

    code, kind = "restored_unmigrated", Kind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    manifest: Manifest
    in_flight: int  # cycles; they go on when a cluster starts
    sending: int  # attempts; they become unknown
    sealed: int  # endpoints whose secrets no key of this installation decrypts
    signed: bool  # by a key of this installation

    def document(self) -> dict[str, Any]:
        """Return the command's JSON."""
        return {
            "release": self.manifest.release,
            "taken_at": self.manifest.taken_at,
            "rows": sum(self.manifest.rows.values()),
            "audit": {"sequence": self.manifest.audit_sequence, "hash": self.manifest.audit_hash},
            "cycles_in_flight": self.in_flight,
            "attempts_sending": self.sending,
            "endpoints_unreadable": self.sealed,
            "signed": self.signed,
        }


def restore(
    path: Path, *, actor: Actor, progress: Progress, accept: Accept | None = None
) -> Restored:
    """Restore the backup ``path``; one that isn't signed only if ``accept`` is given and returns.

    Raises NotMigrated if only a migration failed. After any other exception the database is
    unchanged.
    """
    size = path.stat().st_size if path.exists() else 0
    with container.opened(
        path,
        unsigned=accept is not None,
        progress=lambda done: progress("checking", done, size),
    ) as backup:
        contents = manifest.parse(backup.manifest)
        with as_owner():
            if accept is not None and not backup.signed:
                accept(f"{path} isn't signed by this installation. {target.reach()}")
            manifest.refuse_unfit(contents)
            with transaction.atomic():
                _load(backup, contents, progress)
                in_flight, sending = _verify(contents)
                _audit(path, backup, contents, actor)
    _migrate(contents)
    return Restored(contents, in_flight, sending, _count_sealed(), backup.signed)


def _load(backup: Backup, contents: Manifest, progress: Progress) -> None:
    program = programs.find("pg_restore", server=contents.server)
    with connection.cursor() as cursor:
        cursor.execute(BEGIN)
        cursor.execute(NO_MIGRATION, [settings.ORBIT_DATABASE_SCHEMA])
        if cursor.fetchone() != (True,):
            raise target.InUse("A migration of this database is running.")
    ensure_schema(settings.ORBIT_DATABASE_SCHEMA)
    target.refuse_used(contents)
    # Check again under the lock: a write that committed while we waited must not be dropped.
    target.lock()
    target.refuse_used(contents)
    target.clear()

    def chunks() -> Iterator[bytes]:
        done = 0
        for chunk in backup.chunks():
            done += len(chunk)
            progress("restoring", done, backup.size)
            yield chunk

    script.run(program, chunks)
    _revoke(contents.private_functions)


def _revoke(private_functions: list[str]) -> None:
    """Take the functions from PUBLIC. Raises Differs if one isn't in the schema."""
    with connection.cursor() as cursor:
        cursor.execute(RESET)
        # The catalog's names are quoted; those of the file may be anything.
        rows = LIST_FUNCTIONS.rows(schema=settings.ORBIT_DATABASE_SCHEMA)
        existing = {name for (name,) in rows}
        for name in private_functions:
            if name not in existing:
                raise Differs(
                    f"The manifest names a function that isn't there: {ascii(name)[:200]}. "
                    "Nothing was kept."
                )
            cursor.execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(sql.SQL(name)))


def _verify(contents: Manifest) -> tuple[int, int]:
    """Return the cycles and attempts in flight. Raises Differs."""
    counts = manifest.row_counts()
    different = sorted(name for name, number in contents.rows.items() if counts.get(name) != number)
    if different:
        name = different[0]
        raise Differs(
            f"{name if name.isprintable() else ascii(name)} has {counts.get(name)} rows, "
            f"the backup had {contents.rows[name]}. Nothing was kept."
        )
    if verify.walk() != (contents.audit_sequence, contents.audit_hash):
        raise Differs("The audit trail ends elsewhere than in the backup. Nothing was kept.")
    [(in_flight, sending)] = COUNT_IN_FLIGHT.rows()
    with connection.cursor() as cursor:
        # Those clusters don't run here: their heartbeat must not look fresh.
        cursor.execute("DELETE FROM orbit_clusternode")
    return in_flight, sending


def _audit(path: Path, backup: Backup, contents: Manifest, actor: Actor) -> None:
    head = {"audit_sequence": contents.audit_sequence, "audit_hash": contents.audit_hash}
    after = {
        "file": path.name,
        "sha256": backup.sha256,
        "signed": backup.signed,
        "release": contents.release,
        "taken_at": contents.taken_at,
        **head,
    }
    with audit.transaction():
        audit.record(
            Action.BACKUP_RESTORED,
            actor=actor.name,
            object_id=path.name[:200],
            after=after,
        )


def _migrate(contents: Manifest) -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    except (CommandError, DatabaseError) as error:
        raise NotMigrated(
            f"All data of {contents.release} is restored, but the migration to "
            f"{settings.ORBIT_VERSION} failed: {' '.join(str(error).split())[:600]}. "
            "Fix that, and run manage.py migrate."
        ) from error


def _count_sealed() -> int:
    count = 0
    for sealed in EndpointSnapshot.objects.values_list("sealed", flat=True).iterator():
        try:
            secrets.unseal(bytes(sealed), settings.ORBIT_ENCRYPTION_KEYS)
        except secrets.Unreadable:
            count += 1
    return count
