"""``manage.py restore FILE``: what a backup holds, in an empty installation."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from orbit_site.backup import load


class Command(OrbitCommand):
    help = "Restores a backup to an empty installation, whole or not at all, and brings it to this release. Cycles go on once a cluster starts."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress(self.stderr) as progress:
            restored = load.restore(options["file"], actor=actors.operator(), told=progress.show)
        if restored.sealed:
            self.stderr.write(f"No key of ORBIT_ENCRYPTION_KEYS here opens {restored.sealed} endpoints: "
                              "their deliveries would become dead letters. Set the old keys before a cluster starts.")  # fmt: skip
        if options["json"]:
            self.print_json(restored.document())
            return
        found = restored.manifest
        self.say(
            f"restored {sum(found.rows.values())} rows of {found.taken_at} (Orbit {found.release}), audit trail up to {found.audit_sequence}"
        )
        if restored.in_flight:
            self.say(f"{restored.in_flight} cycles go on when a cluster starts")
        if restored.sending:
            self.say(
                f"{restored.sending} attempts were under way, and nobody knows whether they arrived: they are sent again under the same key"
            )
