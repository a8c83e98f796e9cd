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
    """The namespace is halted, but deliveries are in flight, or no cluster is running."""

    code, kind = "not_quiet", Kind.UNAVAILABLE


class Command(StopCommand):
    help = "Halt a namespace: within a second no delivery starts in it, until it is resumed."

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
        halted = halts.halt(
            options["namespace"],
            actor=actors.operator(),
            reason=options["reason"],
            until=until_of(options),
        )
        if options["wait"] is not None:
            halted = _wait_until_quiet(halted, options["wait"])
        sentence = f"{halted.namespace} is {halted.state}: {halted.reason}"
        self.show(halted.to_dict(), options, sentence)


def _wait_until_quiet(halted: NamespaceStatus, seconds: float) -> NamespaceStatus:
    deadline = time.monotonic() + seconds
    while halted.state == Mode.HALTING:
        if time.monotonic() >= deadline:
            raise NotQuiet(
                f"{halted.namespace} is halted, but after {seconds:g} s deliveries are still in "
                "flight, or no cluster is running to confirm the end."
            )
        time.sleep(LOOK_SECONDS)
        halted = status.find(halted.namespace, actor=actors.operator())
    return halted
