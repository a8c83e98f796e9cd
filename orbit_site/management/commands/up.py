"""``manage.py up``: everything that one machine needs, in one foreground process."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orbit_site.processes import up


class Command(BaseCommand):
    help = "Run database, migrations, web and cluster together, and start again what dies; SIGTERM and Ctrl-C drain and stop it all."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        up.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(up.run(demo=options["demo"]))
