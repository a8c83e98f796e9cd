"""``manage.py cluster``: workers and a keeper on this machine."""

from typing import Any

from django.core.management.base import BaseCommand

from orbit_site.processes import supervisor


class Command(BaseCommand):
    help = "Run cycles: workers and a keeper, in the foreground; SIGTERM and Ctrl-C drain."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        supervisor.run()
