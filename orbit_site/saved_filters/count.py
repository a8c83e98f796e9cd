"""How many rows a list has under a filter, as the list itself would say."""

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import psycopg
from django.contrib import admin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.messages.storage.base import BaseStorage
from django.core.exceptions import EmptyResultSet, SuspiciousOperation
from django.db import DataError, OperationalError, connection, connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import resolve

from governance.console.base import COUNTED, ReadOnlyAdmin, namespace_of

T = TypeVar("T")
#: What a list raises for a filter of an older release, or a forged one.
_NOT_READ = (
    *(IncorrectLookupParameters, DisallowedModelAdminLookup),
    *(SuspiciousOperation, DataError),
)
#: What is shown instead of a number.
UNREADABLE, SLOW = "?", "too slow to count"
#: How long all lists may take together, then each of them alone, and then the rest of them.
_TOGETHER_SECONDS, _ALONE_SECONDS, _REST_SECONDS = 1.0, 0.3, 1.0
_ROOT = "/admin/"


class _Silent(BaseStorage):
    """A filter that can't be read says so on its list, not here."""

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        return [], True

    def _store(self, messages: Any, response: Any, *args: Any, **kwargs: Any) -> list[Any]:
        return []


def table_at(request: HttpRequest, address: str) -> ReadOnlyAdmin | None:
    """Return the table at ``address``, if the user may see it."""
    for model, table in admin.site._registry.items():
        is_here = address == f"{model._meta.app_label}/{model._meta.model_name}/"
        if is_here and isinstance(table, ReadOnlyAdmin) and table.has_view_permission(request):
            return table
    return None


def rows(request: HttpRequest, address: str, query: str) -> "QuerySet[Any] | None":
    """Return what the list at ``address`` has under ``query``; None if it can't be read.

    Nothing is read yet.
    """
    table = table_at(request, address)
    if table is None:
        return None
    there, values = copy.copy(request), QueryDict(query, mutable=True)
    if namespace_of(request):
        # The links of the page name it too.
        values.setdefault("namespace", namespace_of(request))
    there.method, there.GET = "GET", values  # type: ignore[assignment]
    there.path, there.resolver_match = _ROOT + address, resolve(_ROOT + address)
    there._messages = _Silent(there)  # type: ignore[attr-defined]
    table = copy.copy(table)
    table.change_list = type("Unread", (table.change_list,), {"get_results": _read_nothing})  # type: ignore[misc]
    try:
        # Not the table's own, which reads more about the rows of a page.
        changes: Any = admin.ModelAdmin.get_changelist_instance(table, there)
    except _NOT_READ:
        return None
    unread: QuerySet[Any] = changes.queryset
    return unread


def _read_nothing(changes: Any, request: HttpRequest) -> None:
    changes.result_list = []


def of(lists: "Sequence[QuerySet[Any] | None]") -> list[str]:
    """Return how many rows each list has, such as "12" or "10,000+", or why there is no number.

    One statement, unless a list is slow or can't be read: then each is counted alone.
    """
    bounded = [
        None if each is None else each.order_by()[: COUNTED + 1].values("pk") for each in lists
    ]
    here = [each for each in bounded if each is not None and each.db == connection.alias]
    together = _tried(partial(_together, here), connection.alias, _TOGETHER_SECONDS)
    numbers = {} if isinstance(together, str) else dict(zip(map(id, here), together, strict=True))
    deadline = time.monotonic() + _REST_SECONDS
    return [
        _words(numbers[id(each)] if id(each) in numbers else _alone(each, deadline))
        for each in bounded
    ]


def _together(lists: "Sequence[QuerySet[Any]]") -> list[int]:
    if not lists:
        return []
    parts = [_compiled(each) for each in lists]
    selects = ", ".join(f"(SELECT count(*) FROM ({text}) AS n)" for text, _ in parts)
    with connection.cursor() as cursor:
        # Django's own SQL, with its parameters apart.
        cursor.execute(f"SELECT {selects}", [each for _, values in parts for each in values])
        return list(cursor.fetchone())


def _alone(unread: "QuerySet[Any] | None", deadline: float) -> int | str:
    if unread is None:
        return UNREADABLE
    if time.monotonic() > deadline:
        return SLOW
    return _tried(unread.count, unread.db, _ALONE_SECONDS)


def _tried(read: Callable[[], T], using: str, seconds: float) -> T | str:
    """Return what ``read`` returns within ``seconds``, else why it doesn't."""
    try:
        with transaction.atomic(using=using):
            with connections[using].cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
            value = read()
            # Nothing was written, and a rollback ends the limit.
            transaction.set_rollback(True, using=using)
            return value
    except DataError:  # a value that its column can't hold
        return UNREADABLE
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        return SLOW


def _compiled(unread: "QuerySet[Any]") -> tuple[str, tuple[Any, ...]]:
    try:
        return unread.query.sql_with_params()
    except EmptyResultSet:  # the user sees no row of it
        return "SELECT 1 WHERE false", ()


def _words(number: int | str) -> str:
    if isinstance(number, str):
        return number
    return f"{COUNTED:,}+" if number >= COUNTED else f"{number:,}"
