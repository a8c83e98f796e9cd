"""Restoring a backup, into an empty installation.

Everything happens in one transaction: room is made, the dump is run, rows are counted, the audit trail is walked up to the head that the backup
names, and the restore itself is put on it. So a restore that fails, or is killed, leaves the database as it was. Migrations of a
newer release follow, each as it always is.
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
from orbit.models import EndpointSnapshot
from orbit.outbound import secrets
from orbit_site.backup import container, manifest, programs, script, target
from orbit_site.backup.container import Backup
from orbit_site.backup.manifest import Manifest
from orbit_site.management.commands.migrate import as_owner, ensure_schema

# Rows are written as they were: time-outs of Orbit's own sessions are too short for them.
BEGIN = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '10s'"
NO_MIGRATION = "SELECT pg_try_advisory_xact_lock(hashtext('orbit.migrate'), hashtext(%s))"
# The script leaves no search path behind.
OUR_PATH = "RESET search_path; RESET check_function_bodies; RESET row_security"
IN_FLIGHT = """SELECT (SELECT count(*) FROM orbit_cyclerun WHERE next_due_at IS NOT NULL),
(SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'sending')"""

Told = Callable[[str, int, int], None]


class Differs(OrbitError):
    """What was restored isn't what the backup says."""

    code, kind = "restore_differs", Kind.CONFLICT


class NotMigrated(OrbitError):
    """The backup is restored, but not at this release."""

    code, kind = "restored_unmigrated", Kind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back; ``in_flight`` cycles go on by themselves, ``sending`` attempts become unknown, ``sealed`` endpoints no key here opens."""

    manifest: Manifest
    in_flight: int
    sending: int
    sealed: int

    def document(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        return {
            "release": self.manifest.release, "taken_at": self.manifest.taken_at, "rows": sum(self.manifest.rows.values()),
            "audit": {"sequence": self.manifest.audit_sequence, "hash": self.manifest.audit_hash},
            "cycles_in_flight": self.in_flight, "attempts_sending": self.sending, "endpoints_unreadable": self.sealed,
        }  # fmt: skip


def restore(path: Path, *, actor: Actor, told: Told) -> Restored:
    """Restore the backup ``path``; ``told`` hears what is being done, and how many bytes of how many.

    Raises NoBackup, Unfit, NotEmpty, InUse, NoProgram, RestoreFailed, Broken and Differs: the database is as it was then. Raises NotMigrated
    where all of it is there, but a migration of this release failed.
    """
    with container.opened(
        path, told=lambda done: told("checking", done, path.stat().st_size)
    ) as backup:
        found = manifest.parse(backup.manifest)
        with as_owner():
            manifest.refuse_unfit(found)
            with transaction.atomic():
                _load(backup, found, told)
                in_flight, sending = _verify(found)
                _trace(path, backup, found, actor)
    _migrate(found)
    return Restored(found, in_flight, sending, _unreadable())


def _load(backup: Backup, found: Manifest, told: Told) -> None:
    program = programs.find("pg_restore", server=found.server)
    with connection.cursor() as cursor:
        cursor.execute(BEGIN)
        cursor.execute(NO_MIGRATION, [settings.ORBIT_DATABASE_SCHEMA])
        if cursor.fetchone() != (True,):
            raise target.InUse("A migration of this database is running.")
    ensure_schema(settings.ORBIT_DATABASE_SCHEMA)
    target.refuse_used(found)
    # Looked at again under the lock: what commits while that is waited for was done by somebody, and is not to be dropped.
    target.hold()
    target.refuse_used(found)
    target.clear()
    done = 0

    def pieces() -> Iterator[bytes]:
        nonlocal done
        for piece in backup.pieces():
            done += len(piece)
            told("restoring", done, backup.size)
            yield piece

    script.run(program, pieces())
    with connection.cursor() as cursor:
        cursor.execute(OUR_PATH)
        for function in found.private_functions:
            cursor.execute(
                sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function))
            )


def _verify(found: Manifest) -> tuple[int, int]:
    """Hold what is there against the manifest; return how many cycles and attempts are under way."""
    counts = manifest.row_counts()
    different = sorted(name for name, number in found.rows.items() if counts.get(name) != number)
    if different:
        name = different[0]
        raise Differs(
            f"{name} has {counts.get(name)} rows, the backup had {found.rows[name]}. Nothing was kept."
        )
    if verify.walk() != (found.audit_sequence, found.audit_hash):
        raise Differs("The audit trail ends elsewhere than the backup says. Nothing was kept.")
    with connection.cursor() as cursor:
        cursor.execute(IN_FLIGHT)
        in_flight, sending = cursor.fetchone()
        # Those clusters are not here: their last sign of life must not look fresh.
        cursor.execute("DELETE FROM orbit_clusternode")
    return in_flight, sending


def _trace(path: Path, backup: Backup, found: Manifest, actor: Actor) -> None:
    head = {"audit_sequence": found.audit_sequence, "audit_hash": found.audit_hash}
    said = {
        "file": path.name,
        "sha256": backup.sha256,
        "release": found.release,
        "taken_at": found.taken_at,
        **head,
    }
    with audit.transaction():
        audit.record(
            Action.BACKUP_RESTORED,
            actor=actor.name,
            object_id=path.name[:200],
            after=said,
        )


def _migrate(found: Manifest) -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    except (CommandError, DatabaseError) as error:
        raise NotMigrated(
            f"Everything of {found.release} is restored, but it can't be brought to {settings.ORBIT_VERSION}: "
            f"{' '.join(str(error).split())[:600]}. Mend that, and run manage.py migrate."
        ) from error


def _unreadable() -> int:
    count = 0
    for sealed in EndpointSnapshot.objects.values_list("sealed", flat=True).iterator():
        try:
            secrets.unseal(bytes(sealed), settings.ORBIT_ENCRYPTION_KEYS)
        except secrets.Unreadable:
            count += 1
    return count
