"""``manage.py status``: what needs a user."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from orbit.cycles import maintenance
from orbit_site.overview import summary

#: Something needs a user. Refusals have other codes.
NEEDS_A_USER = 1


class Command(OrbitCommand):
    help = (
        "Says what needs a user, as the dashboard does. Exits with 0 if all is well, else with 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--namespace", default="", help="Only what concerns it.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        overview = summary.of(actors.operator(), namespace=options["namespace"], seconds=0.0)
        maintenance.warn_of_other_settings(self.warn)
        if options["json"]:
            self.print_json(overview.to_dict())
        else:
            self.say(overview.sentence)
            for thing in overview.things:
                self.say(f"  {thing.label}: {thing.sentence}")
                self.say(f"    {thing.link}")
            if overview.lead:
                self.say(overview.lead)
        if overview.things:
            sys.exit(NEEDS_A_USER)
