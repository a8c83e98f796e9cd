"""The base of all commands.

What they print comes from data, and a terminal obeys some characters: all of it is escaped here.
"""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, OutputWrapper

from governance.kernel import availability, reasons, terminal
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


class EscapedOutput(OutputWrapper):
    """Standard output or error of a command; its texts are escaped."""

    def write(  # type: ignore[override]
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        """Write lines."""
        super().write(terminal.escape_lines(msg), style_func, ending)

    def write_json(self, text: str) -> None:
        """Write JSON as it is, with more escapes on a terminal."""
        super().write(terminal.escape_json(text) if self.isatty() else text)


class OrbitCommand(BaseCommand):
    """A command whose refusals become lines on stderr and an exit code."""

    # They import every page and look at our code alone, which `make lint` checks: they would take
    # two fifths of a command's time.
    requires_system_checks = []
    stdout: EscapedOutput
    stderr: EscapedOutput

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._escape_output()

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run with the streams in ``options``, if there are any."""
        for name in ("stdout", "stderr"):
            if stream := options.pop(name, None):
                setattr(self, name, OutputWrapper(stream))
        self._escape_output()
        return super().execute(*args, **options)

    def _escape_output(self) -> None:
        for name in ("stdout", "stderr"):
            plain = getattr(self, name)
            if not isinstance(plain, EscapedOutput):
                escaped = EscapedOutput(plain._out)
                escaped.style_func = plain.style_func
                setattr(self, name, escaped)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from a shell."""
        try:
            super().run_from_argv(argv)
        except OrbitError as error:
            first, *others = error.lines
            for line in (f"orbit: {first}", *others):
                self.warn(line)
            for item in error.errors:
                if item["detail"] not in error.detail:  # some details name each error already
                    self.warn(f"  {item['pointer'] or '/'}: {item['detail']}")
            sys.exit(EXIT[error.kind])
        except Exception as error:
            if not availability.is_away(error):
                raise
            self.warn(f"orbit: {availability.explain(error)} {_UNKNOWN}")
            # Trying again doesn't mend a certificate or a password.
            self.warn(f"  {' '.join(str(error).split())[:600]}")
            sys.exit(EXIT[Kind.UNAVAILABLE])

    def say(self, text: str) -> None:
        """Print a line."""
        self.stdout.write(terminal.escape(text))

    def say_row(self, template: str, **values: Any) -> None:
        """Print a line of a table, such as ``{name:<20}{status}``."""
        cells = {
            name: terminal.Cell(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        self.say(template.format(**cells))

    def warn(self, text: str) -> None:
        """Print a line on standard error."""
        self.stderr.write(terminal.escape(text))

    def print_json(self, document: Any) -> None:
        """Print ``document`` as JSON."""
        self.stdout.write_json(json.dumps(document, ensure_ascii=False, default=_plain))

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
