"""Rows as CSV, streamed in pages by keyset.

Memory and statements stay as small as those of a list, however many rows there are.
"""

from collections.abc import Iterator
from typing import Any

from django.db import OperationalError
from django.db.models import QuerySet

from governance.kernel import csv_text
from governance.rest import keyset

#: Rows in one download.
MOST = 1_000_000
_BATCH = 1_000


def heading(name: str) -> str:
    """Return the heading of a column: its name without the relations that lead to it."""
    return name.removesuffix("__name").rpartition("__")[2]


def lines(
    rows: "QuerySet[Any]", names: tuple[str, ...], key: tuple[str, ...] = ("id",)
) -> Iterator[str]:
    """Yield a header and ``rows``, the last first, by their unique ``key``.

    A download that ends early says so in its last line.
    """
    yield csv_text.lines([map(heading, names)])
    descending = [f"-{name}" for name in key]
    # The key comes last, so that the next page begins beyond it.
    values = rows.prefetch_related(None).order_by(*descending).values_list(*names, *key)
    page, count = values, 0
    while count < MOST:
        try:
            batch = list(page[:_BATCH])
        except OperationalError:
            yield csv_text.lines([["The download ends here: reading took too long. Filter more."]])
            return
        yield csv_text.lines(row[: len(names)] for row in batch)
        count += len(batch)
        if len(batch) < _BATCH:
            return
        page = values.filter(keyset.beyond(key, batch[-1][len(names) :], descending=True))
    if page[:1]:
        yield csv_text.lines([[f"The download ends after {MOST:,} rows. Filter more."]])
