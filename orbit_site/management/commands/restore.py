"""``manage.py restore FILE``: restore a backup."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.progress import Progress
from orbit_site.backup import load


class Declined(OrbitError):
    """Nothing was restored."""

    code, kind = "restore_declined", Kind.CONFLICT


class Command(OrbitCommand):
    help = (
        "Restores a backup to an empty installation, completely or not at all, and migrates it to "
        "this release. Cycles go on when a cluster starts."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="Also restore a file that no key of this installation signed. It can run "
            "anything as the owner of the database.",
        )
        parser.add_argument(
            "--yes", action="store_true", help="With --unsigned: don't ask on a terminal."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress(self.stderr) as bar:

            def accept(warning: str) -> None:
                bar.clear()
                self.warn(warning)
                if options["yes"] or not sys.stdin.isatty():
                    return
                self.stderr.write('Type "yes" to restore it: ', ending="")
                self.stderr.flush()
                if sys.stdin.readline().strip() != "yes":
                    raise Declined

            restored = load.restore(
                options["file"],
                actor=actors.operator(),
                progress=bar.show,
                accept=accept if options["unsigned"] else None,
            )
        self._report(restored, as_json=options["json"])

    def _report(self, restored: load.Restored, *, as_json: bool) -> None:
        if restored.sealed:
            self.warn(
                f"No key in ORBIT_ENCRYPTION_KEYS decrypts the secrets of {restored.sealed} "
                "endpoints: their deliveries would become dead letters. "
                "Set the old keys before you start a cluster."
            )
        if as_json:
            self.print_json(restored.document())
            return
        contents = restored.manifest
        self.say(
            f"restored {sum(contents.rows.values())} rows of {contents.taken_at} "
            f"(Orbit {contents.release}), audit trail up to {contents.audit_sequence}"
        )
        if restored.in_flight:
            self.say(f"{restored.in_flight} cycles go on when a cluster starts")
        if restored.sending:
            self.say(
                f"{restored.sending} attempts were in flight and their outcome is unknown: "
                "they are sent again with the same idempotency key"
            )
