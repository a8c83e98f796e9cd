"""``manage.py endpoint``: list endpoints, send a test delivery."""

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from orbit.cycles import maintenance
from orbit.dispatch import endpoint_health, trial
from orbit.states import Attempt

_COLUMNS = "{key:<24}{host:<32}{circuit:<9}{delivered:<14}{queued:<8}"


class Command(OrbitCommand):
    help = "Lists endpoints, or sends a test delivery."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="List endpoints, their circuits and their load.")
        test = actions.add_parser(
            "test", help="Send a delivery that is marked as a test; exit with 0 if it arrived."
        )
        test.add_argument("key")
        for action in (listing, test):
            action.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = actors.operator()
        maintenance.warn_of_other_settings(self.warn)
        if options["action"] == "list":
            rows = [asdict(health) for health in endpoint_health.listed(actor)]
            if options["json"]:
                self.print_json({"results": rows})
                return
            headings = {"key": "endpoint", "host": "host", "circuit": "circuit"}
            self.say_row(_COLUMNS, **headings, delivered="24 h", queued="queued")
            for row in rows:
                delivered = f"{row['day']['delivered']} of {row['day']['ended']}"
                self.say_row(_COLUMNS, **{**row, "delivered": delivered})
            return
        result = trial.send(options["key"], actor=actor)
        if options["json"]:
            self.print_json(asdict(result))
        else:
            self.say(f"{options['key']}: {result}")
        if result.status != Attempt.DELIVERED:
            sys.exit(1)
