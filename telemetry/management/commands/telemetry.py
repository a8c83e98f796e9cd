"""``manage.py telemetry``: each verb is a module of ``telemetry/subcommands``."""

from types import ModuleType
from typing import Any

from django.core.management.base import CommandParser

from governance.kernel.commands import OrbitCommand
from telemetry.subcommands import (
    archive,
    coverage,
    ingest,
    prune,
    reconcile,
    replay,
    run,
    selfcheck,
)

#: By verb. Each has HELP, add_arguments(parser) and handle(command, options).
VERBS: dict[str, ModuleType] = {
    "archive": archive,
    "coverage": coverage,
    "ingest": ingest,
    "prune": prune,
    "reconcile": reconcile,
    "replay": replay,
    "run": run,
    "selfcheck": selfcheck,
}


class Command(OrbitCommand):
    help = "Ingests, reads, replays, checks and prunes telemetry events."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, module in VERBS.items():
            verb = verbs.add_parser(name, help=module.HELP, description=module.HELP)
            module.add_arguments(verb)

    def handle(self, *args: Any, **options: Any) -> None:
        VERBS[options["verb"]].handle(self, options)
