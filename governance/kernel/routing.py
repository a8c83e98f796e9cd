"""Inserts into partitioned tables beside the making of a partition."""

from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, connection, transaction
from psycopg.errors import CheckViolation

T = TypeVar("T")


def run(insert: Callable[[], T]) -> T:
    """Run a statement that inserts; once more, unchanged, if its row found no place."""
    try:
        return _run_whole(insert)
    except IntegrityError as error:
        if not is_missing(error):
            raise
    # It waited for the DEFAULT partition, which gave the row's range away meanwhile. If there is no
    # partition at all, it fails again.
    return _run_whole(insert)


def is_missing(error: Exception) -> bool:
    """Tell whether ``error`` is about a row without a partition."""
    cause = error.__cause__
    # A violated constraint would have a name.
    return isinstance(cause, CheckViolation) and not cause.diag.constraint_name


def _run_whole(insert: Callable[[], T]) -> T:
    if not connection.in_atomic_block:
        return insert()
    with transaction.atomic():  # a savepoint: after a failure the transaction goes on
        return insert()
