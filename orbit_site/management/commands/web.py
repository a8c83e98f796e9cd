"""``manage.py web``: the console and the API."""

from typing import Any

from django.core.management.base import BaseCommand

from orbit_site.processes import web


class Command(BaseCommand):
    help = (
        "Serve the console and the API on PORT, in the foreground. "
        "SIGTERM or Ctrl-C finishes running requests first."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        web.serve()
