"""The base of all commands."""

import json
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from governance.kernel import availability, reasons
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

# The answer of a COMMIT may be what was lost.
_UNKNOWN = "If this command changes something, look whether it did before you repeat it."


class OrbitCommand(BaseCommand):
    """A command whose refusals become lines on stderr and an exit code."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from a shell."""
        try:
            super().run_from_argv(argv)
        except OrbitError as error:
            self.stderr.write(f"orbit: {error.detail}")
            for item in error.errors:
                if item["detail"] not in error.detail:  # some details name each error already
                    self.stderr.write(f"  {item['pointer'] or '/'}: {item['detail']}")
            sys.exit(EXIT[error.kind])
        except Exception as error:
            if not availability.is_away(error):
                raise
            self.stderr.write(f"orbit: {availability.explain(error)} {_UNKNOWN}")
            # Trying again doesn't mend a certificate or a password.
            self.stderr.write(f"  {' '.join(str(error).split())[:600]}")
            sys.exit(EXIT[Kind.UNAVAILABLE])

    def say(self, text: str) -> None:
        """Print a line."""
        self.stdout.write(text)

    def print_json(self, document: Any) -> None:
        """Print ``document`` as JSON."""
        self.stdout.write(json.dumps(document, ensure_ascii=False, default=_plain))

    def require_reason(self, options: dict[str, Any]) -> None:
        """Raise ReasonInvalid if ``--reason`` is blank or too long."""
        if not options["reason"].strip() or len(options["reason"]) > reasons.MAX_LENGTH:
            raise reasons.ReasonInvalid


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
