"""``manage.py backup FILE``: everything in one file, while everything works."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from orbit_site.backup import make


class Command(OrbitCommand):
    help = "Writes the whole installation to one file, as of one moment, while cycles run. Keep ORBIT_ENCRYPTION_KEYS too, somewhere else."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, help="Where to; in a folder it gets a name with release and time."
        )
        parser.add_argument("--force", action="store_true", help="Replace the file if it is there.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress(self.stderr) as progress:
            taken = make.take(
                options["file"],
                actor=actors.operator(),
                force=options["force"],
                told=lambda done: progress.show("dumping", done),
            )
        if options["json"]:
            self.print_json(taken.document())
        else:
            self.say(
                f"{taken.path}: {taken.size / 1e6:.1f} MB, {sum(taken.manifest.rows.values())} rows, audit trail up to {taken.manifest.audit_sequence}"
            )
