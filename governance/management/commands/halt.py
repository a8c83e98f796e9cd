"""``manage.py halt NAMESPACE``."""

import time
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.errors import Kind, OrbitError
from governance.management.commands._stopping import StopCommand, until_of
from governance.namespaces import halts, status
from governance.namespaces.status import NamespaceStatus
from governance.states import Mode

LOOK_SECONDS = 0.2


class NotQuiet(OrbitError):
    """The namespace is halted, but something is still in flight, or no cluster is there to tell."""

    code, kind = "not_quiet", Kind.UNAVAILABLE


class Command(StopCommand):
    help = "Halts a namespace: within a second no delivery starts in it, until it is resumed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        super().add_arguments(parser)
        parser.add_argument(
            "--wait",
            nargs="?",
            type=float,
            const=300.0,
            metavar="SECONDS",
            help="Wait until nothing is in flight (300 s at most).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = halts.halt(
            options["namespace"],
            actor=actors.operator(),
            reason=options["reason"],
            until=until_of(options),
        )
        if options["wait"] is not None:
            found = _wait(found, options["wait"])
        self.show(found.data(), options, f"{found.namespace} is {found.state}: {found.reason}")


def _wait(found: NamespaceStatus, seconds: float) -> NamespaceStatus:
    """Return how the namespace stands once it is quiet. Raises NotQuiet after ``seconds``."""
    ends = time.monotonic() + seconds
    while found.state == Mode.HALTING:
        if time.monotonic() >= ends:
            raise NotQuiet(
                f"{found.namespace} is halted, but after {seconds:g} s something is still in flight, or no cluster is there to tell."
            )
        time.sleep(LOOK_SECONDS)
        found = status.find(found.namespace, actor=actors.operator())
    return found
