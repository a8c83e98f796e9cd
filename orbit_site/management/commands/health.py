"""``manage.py health``: is the process of a role well?"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orbit_site.processes import health


class Command(BaseCommand):
    help = "Say by the exit code whether the processes of a role on this machine are well: 0 or 1. For health checks."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        health.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(health.run(options["role"]))
