"""Standard input, output and error of a command."""

import io
import os
import sys
from typing import cast


class Output(io.TextIOWrapper):
    """Standard output that remembers why it couldn't be written."""

    problem: OSError | None = None

    def write(self, text: str) -> int:
        """Write ``text``. Raises OSError."""
        try:
            return super().write(text)
        except OSError as error:
            self.problem = error
            raise

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        try:
            super().flush()
        except OSError as error:
            self.problem = error
            raise

    def discard(self) -> None:
        """Write the rest nowhere: Python flushes at its end, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare() -> Output:
    """Make the standard files usable; return standard output."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # A closed one: a socket would get its number. The lowest free one is opened.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    plain = cast(io.TextIOWrapper, sys.stdout)
    output = Output(
        plain.buffer,
        plain.encoding,
        # An umlaut on a terminal that has none is written as an escape.
        errors="backslashreplace",
        line_buffering=plain.line_buffering,
        write_through=plain.write_through,
    )
    plain.detach()
    sys.stdout = sys.__stdout__ = output  # type: ignore[misc]
    return output
