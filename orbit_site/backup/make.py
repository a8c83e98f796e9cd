"""Taking a backup, while everything works.

One transaction exports its snapshot; the manifest is read in it and ``pg_dump`` dumps it, so both tell of one moment, whatever is written
meanwhile. Nobody waits for a backup but a migration, and who drops old partitions.
"""

import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from governance import audit
from governance.access.actors import Actor
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from orbit_site.backup import container, manifest, programs
from orbit_site.backup.manifest import Manifest
from orbit_site.management.commands.migrate import as_owner

PIECE = 1 << 18
LOCK_SECONDS = 60

BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
UNBOUNDED = "SET LOCAL idle_in_transaction_session_timeout = 0"
# `migrate` holds this lock alone: no table changes under a dump.
NO_MIGRATION = "SELECT pg_try_advisory_lock_shared(hashtext('orbit.migrate'), hashtext(%s))"


class DumpFailed(OrbitError):
    """The database couldn't be dumped."""

    code, kind = "dump_failed", Kind.UNAVAILABLE


class Untraced(OrbitError):
    """The backup was taken, but the audit trail couldn't be told."""

    code, kind = "backup_untraced", Kind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that lies at ``path``, whole."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest

    def document(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        return {
            "file": str(self.path), "bytes": self.size, "sha256": self.sha256, "release": self.manifest.release, "taken_at": self.manifest.taken_at,
            "audit": {"sequence": self.manifest.audit_sequence, "hash": self.manifest.audit_hash}, "rows": sum(self.manifest.rows.values()),
        }  # fmt: skip


def take(path: Path, *, actor: Actor, force: bool, told: Callable[[int], None]) -> Taken:
    """Write a backup to ``path``, or into the folder ``path`` under a name of its own; ``told`` hears how many bytes of it there are.

    Raises Occupied, Unwritable, NoProgram and DumpFailed, in which cases no file is left; Untraced when the file is whole, but nobody could
    write it on the audit trail. After a crash at most ``FILE.part`` is left.
    """
    if not path.is_dir():
        container.refuse_occupied(path, force=force)
    with as_owner():
        _keep_migrations_off()
        with transaction.atomic(), tempfile.TemporaryFile() as complaints:
            snapshot = _snapshot()
            found = manifest.read()
            target = (path / _name(found) if path.is_dir() else path).absolute()
            with closing(_dump(snapshot, found.server, complaints, told)) as dump:
                sha256 = container.write(target, found.document(), dump, force=force)
    taken = Taken(target, target.stat().st_size, sha256, found)
    _trace(taken, actor)
    return taken


def _keep_migrations_off() -> None:
    """Hold the lock of migrations, shared, until the connection closes; before the snapshot, which must be of a database at rest."""
    with connection.cursor() as cursor:
        cursor.execute(NO_MIGRATION, [settings.ORBIT_DATABASE_SCHEMA])
        if cursor.fetchone() != (True,):
            raise DumpFailed(
                "A migration of this database is running. Take the backup when it is done."
            )


def _snapshot() -> str:
    with connection.cursor() as cursor:
        cursor.execute(BEGIN)
        cursor.execute(UNBOUNDED)
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def _dump(
    snapshot: str, server: int, complaints: IO[bytes], told: Callable[[int], None]
) -> Generator[bytes, None, None]:
    """Yield the dump of ``snapshot``. Raises DumpFailed, with what pg_dump said, behind the last piece that it wrote."""
    where, environment = programs.connect()
    program = programs.find("pg_dump", server=server)
    command = [str(program), "--format=custom", "--compress=1", "--no-password", f"--schema={settings.ORBIT_DATABASE_SCHEMA}", f"--snapshot={snapshot}",
               f"--lock-wait-timeout={LOCK_SECONDS}s", f"--dbname={where}"]  # fmt: skip
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    done = 0
    try:
        while piece := process.stdout.read(PIECE):
            done += len(piece)
            yield piece
            told(done)
        code = process.wait()
    finally:
        # Whoever stops reading, since the disk is full, must not leave it behind.
        process.kill()
        process.stdout.close()
        process.wait()
    if code:
        complaints.seek(0)
        raise DumpFailed(
            f"pg_dump failed ({code}): {' '.join(complaints.read().decode(errors='replace').split())[-600:]}"
        )


def _name(found: Manifest) -> str:
    before = "" if found.current else "before-"
    return f"orbit-{before}{found.release}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup"


def _trace(taken: Taken, actor: Actor) -> None:
    said = {
        "file": taken.path.name,
        "sha256": taken.sha256,
        "bytes": taken.size,
        "audit_sequence": taken.manifest.audit_sequence,
    }
    try:
        with audit.transaction():
            audit.record(
                Action.BACKUP_MADE,
                actor=actor.name,
                object_id=taken.path.name[:200],
                after=said,
            )
    except DatabaseError as error:
        raise Untraced(
            f"{taken.path} is whole, but the audit trail can't be told of it: {' '.join(str(error).split())}"
        ) from error
