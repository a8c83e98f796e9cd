"""What every command is: refusals in plain words with an exit code by their kind, and JSON that stands alone on stdout."""

import json
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from governance.kernel.errors import Kind, OrbitError

EXIT = {
    Kind.INVALID: 2,
    Kind.MALFORMED: 2,
    Kind.TOO_LARGE: 2,
    Kind.MISSING: 3,
    Kind.CONFLICT: 4,
    Kind.STALE: 4,
    Kind.UNCONDITIONAL: 2,
    Kind.LOCKED: 5,
    Kind.DENIED: 6,
    Kind.UNAVAILABLE: 7,
}


class OrbitCommand(BaseCommand):
    """A command of Orbit; what it prints for people goes through ``say``, its one document through ``print_json``."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from a shell; a refusal is lines on stderr and the exit code of its kind."""
        try:
            super().run_from_argv(argv)
        except OrbitError as error:
            self.stderr.write(f"orbit: {error.detail}")
            # Some refusals say everything in their text already.
            for found in (found for found in error.errors if found["detail"] not in error.detail):
                self.stderr.write(f"  {found['pointer'] or '/'}: {found['detail']}")
            sys.exit(EXIT[error.kind])

    def say(self, text: str) -> None:
        """Print a line for people."""
        self.stdout.write(text)

    def print_json(self, document: Any) -> None:
        """Print the one JSON document."""
        self.stdout.write(json.dumps(document, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
