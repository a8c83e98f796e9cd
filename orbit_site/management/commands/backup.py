"""``manage.py backup FILE``: back up the installation while it runs."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from orbit_site.backup import make


class Command(OrbitCommand):
    help = (
        "Writes the whole installation to one file, as of one moment, while cycles run. "
        "Keep ORBIT_ENCRYPTION_KEYS too, in another place."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, help="A file, or a folder for a file named by release and time."
        )
        parser.add_argument("--force", action="store_true", help="Replace the file if it exists.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress(self.stderr) as bar:
            snapshot = make.take(
                options["file"],
                actor=actors.operator(),
                force=options["force"],
                progress=lambda done: bar.show("dumping", done),
            )
        if options["json"]:
            self.print_json(snapshot.document())
        else:
            self.say(
                f"{snapshot.path}: {snapshot.size / 1e6:.1f} MB, "
                f"{sum(snapshot.manifest.rows.values())} rows, "
                f"audit trail up to {snapshot.manifest.audit_sequence}"
            )
            key = "ORBIT_ENCRYPTION_KEYS"
            if settings.ORBIT_KEYS_ARE_DERIVED:
                key = "ORBIT_SECRET_KEY, or var/secret-key,"
            self.say(f"to restore it elsewhere, keep {key} too, in another place")
