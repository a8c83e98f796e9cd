"""A shorter time limit for the statements of a page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel import sql

SHORTEN = sql.load(__name__, "shorten_statements")
_RESETS = "orbit_resets_limits"


@contextmanager
def statement_limit(seconds: float) -> Iterator[None]:
    """Limit each statement in the block, unless the connection's own limit is shorter.

    Holds for all databases. Those that the block doesn't use aren't connected to.
    """
    limited: list[str] = []
    with ExitStack() as wrappers:
        for alias in connections:
            limit = _first(replace(SHORTEN, using=alias), round(seconds * 1000), limited)
            wrappers.enter_context(connections[alias].execute_wrapper(limit))
        try:
            yield
        finally:
            for alias in limited:
                if getattr(connections[alias], _RESETS, False):
                    continue
                # A broken connection has no limit to restore.
                with suppress(psycopg.Error):
                    connection = connections[alias].connection
                    if connection is not None:
                        connection.execute("RESET statement_timeout")


def leave_to(connection: BaseDatabaseWrapper) -> None:
    """Let blocks leave their limit on ``connection``: its owner resets it before the next work."""
    setattr(connection, _RESETS, True)


def _first(shorten: sql.Statement, milliseconds: int, limited: list[str]) -> Callable[..., Any]:
    """Return a wrapper that runs ``shorten`` before the first statement of its database."""

    def execute(run: Callable[..., Any], *arguments: Any) -> Any:
        if shorten.using not in limited:
            limited.append(shorten.using)
            shorten.rows(milliseconds=milliseconds)
        return run(*arguments)

    return execute
