"""``manage.py up``: database, web and cluster on one machine."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orbit_site.processes import up


class Command(BaseCommand):
    help = (
        "Run database, migrations, web and cluster together, and restart what ends. "
        "SIGTERM or Ctrl-C drains and stops everything."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        up.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(up.run(demo=options["demo"]))
