"""Make a backup while Orbit runs.

Manifest and dump read one exported snapshot, so both are of the same moment. Only migrations and
the deletion of old partitions wait for it.
"""

import subprocess
import tempfile
from collections.abc import Generator
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
from orbit_site.backup import session as pg_session
from orbit_site.backup.manifest import Manifest
from orbit_site.backup.programs import Program
from orbit_site.backup.session import Session
from orbit_site.management.commands.migrate import as_owner

CHUNK_BYTES = 1 << 18
LOCK_SECONDS = 60

BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
UNBOUNDED = "SET LOCAL idle_in_transaction_session_timeout = 0"
# `migrate` takes this lock exclusively, so no table changes during a dump.
NO_MIGRATION = "SELECT pg_try_advisory_lock_shared(hashtext('orbit.migrate'), hashtext(%s))"


class DumpFailed(OrbitError):
    """The database couldn't be dumped."""

    code, kind = "dump_failed", Kind.UNAVAILABLE


class NotAudited(OrbitError):
    """The backup is complete, but not audited."""

    code, kind = "backup_untraced", Kind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete backup file."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest

    def document(self) -> dict[str, Any]:
        """Return the command's JSON."""
        return {
            "file": str(self.path),
            "bytes": self.size,
            "sha256": self.sha256,
            "release": self.manifest.release,
            "taken_at": self.manifest.taken_at,
            "audit": {"sequence": self.manifest.audit_sequence, "hash": self.manifest.audit_hash},
            "rows": sum(self.manifest.rows.values()),
        }


def take(path: Path, *, actor: Actor, force: bool, progress: container.Progress) -> Snapshot:
    """Write a backup to ``path``; in a folder, generate the name.

    Raises NotAudited if the file is complete, but the audit entry failed. After any other exception
    no file is left; a crash leaves at most ``FILE.part``.
    """
    if not path.is_dir():
        container.refuse_occupied(path, force=force)
    with as_owner():
        # Before the snapshot: a migration in between would change the tables under it.
        _keep_migrations_off()
        with transaction.atomic(), tempfile.TemporaryFile() as errors:
            snapshot_id = _export_snapshot()
            contents = manifest.read()
            session = pg_session.current()
            program = programs.find_for(
                "pg_dump", server=contents.server, parameters=session.parameters
            )
            target = (path / _name(contents) if path.is_dir() else path).absolute()
            with closing(_dump(program, session, snapshot_id, errors, progress)) as dump:
                sha256 = container.write(target, contents.document(), dump, force=force)
    snapshot = Snapshot(target, target.stat().st_size, sha256, contents)
    _audit(snapshot, actor)
    return snapshot


def _keep_migrations_off() -> None:
    with connection.cursor() as cursor:
        cursor.execute(NO_MIGRATION, [settings.ORBIT_DATABASE_SCHEMA])
        if cursor.fetchone() != (True,):
            raise DumpFailed(
                "A migration of this database is running. Make the backup when it has ended."
            )


def _export_snapshot() -> str:
    with connection.cursor() as cursor:
        cursor.execute(BEGIN)
        cursor.execute(UNBOUNDED)
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def _dump(
    program: Program,
    session: Session,
    snapshot_id: str,
    errors: IO[bytes],
    progress: container.Progress,
) -> Generator[bytes, None, None]:
    """Yield the dump. Raises DumpFailed at the end."""
    command = [
        str(program.path),
        "--format=custom",
        "--compress=1",
        "--no-password",
        f"--schema={settings.ORBIT_DATABASE_SCHEMA}",
        f"--snapshot={snapshot_id}",
        f"--lock-wait-timeout={LOCK_SECONDS}s",
        f"--dbname={session.conninfo()}",
    ]
    with session.environment() as (variables, descriptors):
        process = subprocess.Popen(
            command,
            env={**variables, **program.variables},
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        done = 0
        try:
            while chunk := process.stdout.read(CHUNK_BYTES):
                done += len(chunk)
                yield chunk
                progress(done)
            code = process.wait()
        finally:
            # A reader that stops early, on a full disk, must not leave it running.
            process.kill()
            process.stdout.close()
            process.wait()
    if code:
        errors.seek(0)
        message = " ".join(errors.read().decode(errors="replace").split())[-600:]
        raise DumpFailed(f"pg_dump failed ({code}): {message}")


def _name(contents: Manifest) -> str:
    before = "" if contents.current else "before-"
    return f"orbit-{before}{contents.release}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup"


def _audit(snapshot: Snapshot, actor: Actor) -> None:
    after = {
        "file": snapshot.path.name,
        "sha256": snapshot.sha256,
        "bytes": snapshot.size,
        "audit_sequence": snapshot.manifest.audit_sequence,
    }
    try:
        with audit.transaction():
            audit.record(
                Action.BACKUP_MADE,
                actor=actor.name,
                object_id=snapshot.path.name[:200],
                after=after,
            )
    except DatabaseError as error:
        raise NotAudited(
            f"{snapshot.path} is complete, but it couldn't be audited: "
            f"{' '.join(str(error).split())}"
        ) from error
