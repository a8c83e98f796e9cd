"""``manage.py health``: a check for process managers."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orbit_site.processes import health


class Command(BaseCommand):
    help = "Exit with 0 if the processes of a role on this machine are healthy, else with 1."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        health.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(health.run(options["role"]))
