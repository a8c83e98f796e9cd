"""``manage.py qcluster``: ``cluster`` by Django-Q2's name."""

from typing import Any

from django.core.management.base import BaseCommand

from orbit_site.processes import supervisor


class Command(BaseCommand):
    help = "Run cycles with workers and maintenance, in the foreground. SIGTERM or Ctrl-C drains."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        supervisor.run()
