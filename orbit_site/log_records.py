"""How log records are written: one line each, in private files, without a statement's values."""

import io
import logging
import logging.handlers
from collections.abc import Iterator
from typing import Any

import psycopg

from governance.kernel import files, request_context, terminal


class LineFormatter(logging.Formatter):
    """Escapes what a terminal obeys, and line breaks: no text can pass for a record of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the record's one line."""
        return terminal.escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Return the traceback, indented."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Return the stack, indented."""
        return _indented(super().formatStack(stack_info))


class PrivateFileHandler(logging.handlers.WatchedFileHandler):
    """Writes to a file that only this account can read, if it creates the file."""

    def _open(self) -> io.TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding="utf-8",
            errors="backslashreplace",
            opener=files.private_opener,
        )


class ContextFilter(logging.Filter):
    """Puts the ids of the request, the cycle and the delivery on each log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add ``request_id``, ``cycle_id``, ``delivery_id`` and, for the text format, ``ids``."""
        request = request_context.request_id.get()
        cycle, delivery = request_context.cycle_id.get(), request_context.delivery_id.get()
        named = {request: request, cycle: f"cycle {cycle}", delivery: f"delivery {delivery}"}
        text = record.getMessage() if cycle else ""
        names = [name for number, name in named.items() if number and number not in text]
        vars(record).update(
            request_id=request,
            cycle_id=cycle,
            delivery_id=delivery,
            ids=f" [{', '.join(names)}]" if names else "",
        )
        return True


class HideValues(logging.Filter):
    """Cuts from database errors what quotes rows: their details and contexts."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the errors of ``record``."""
        values = record.args if isinstance(record.args, tuple) else ()
        errors = [value for value in values if isinstance(value, BaseException)]
        if record.exc_info and isinstance(record.exc_info, tuple) and record.exc_info[1]:
            errors.append(record.exc_info[1])
        for error in errors:
            _hide_values(list(_chain(error, set())))
        return True


def _hide_values(errors: list[BaseException]) -> None:
    parts = [
        f"\n{label}:  {value}"
        for error in errors
        if isinstance(error, psycopg.Error)
        for label, value in (
            ("DETAIL", error.diag.message_detail),
            ("CONTEXT", error.diag.context),
        )
        if value
    ]
    # Django's error has the text of the driver's.
    for error in errors if parts else []:
        error.args = tuple(_without(parts, value) for value in error.args)


def _without(parts: list[str], value: Any) -> Any:
    if isinstance(value, str):
        for part in parts:
            value = value.replace(part, "")
    return value


def _chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *inner):
        yield from _chain(other, seen)


def _indented(text: str) -> str:
    return "\n".join(f"  {terminal.escape(line)}" for line in text.split("\n"))
