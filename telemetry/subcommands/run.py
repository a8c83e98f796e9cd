"""``telemetry run``: runs any program and reports it."""

import sys
from argparse import ArgumentParser
from typing import Any

from governance.kernel.commands import OrbitCommand
from telemetry import wrap
from telemetry.client import options as client_options
from telemetry.client import wrap as client

HELP = (
    "Run a program and report its start, its artifacts and its end; return its exit code. Its "
    "arguments and output aren't reported."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    client.add_arguments(parser)


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Run the program; exit with its code."""
    given = client_options.from_environment()
    try:
        wrapped = client.from_arguments(options)
    except ValueError as error:
        command.warn(f"orbit: {error}")
        sys.exit(2)
    if given.url is None:
        # Events of the client inside of the program come back to us.
        wrapped = wrapped.with_environ({client_options.SEND: client_options.LATER})
    store = wrap.Store(given)
    code = client.run(wrapped, store.write)
    store.write_kept()
    sys.exit(code)
