"""The rows of a filtered list as CSV, streamed in pages by keyset.

Memory and statements stay as small as those of the list, however many rows there are.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import OperationalError
from django.db.models import BinaryField, Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from governance.kernel import csv_text
from governance.rest import keyset

#: The query parameter of a list that asks for its rows.
PARAMETER = "_export"
#: Rows in one download.
MOST = 1_000_000
_BATCH = 1_000


def columns(model: type[Model]) -> tuple[str, ...]:
    """Return all columns of a table that hold no bytes, for ``exported``."""
    fields = model._meta.concrete_fields
    return tuple(field.attname for field in fields if not isinstance(field, BinaryField))


def respond(model_admin: Any, request: HttpRequest) -> StreamingHttpResponse:
    """Stream ``exported`` of the rows that the list has. Raises PermissionDenied, BadRequest."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    request.GET = query  # type: ignore[assignment] # Django reads every parameter as a filter
    try:
        rows = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        raise BadRequest("The filter can't be read") from None
    key = [name.lstrip("-") for name in model_admin.ordering or model_admin.opts.ordering]
    response = StreamingHttpResponse(
        lines(rows, model_admin.exported, tuple(key)), content_type="text/csv; charset=utf-8"
    )
    name = f"{model_admin.opts.model_name}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def lines(
    rows: "QuerySet[Any]", names: tuple[str, ...], key: tuple[str, ...] = ("id",)
) -> Iterator[str]:
    """Yield a header and ``rows``, the last first, by their unique ``key``.

    A download that ends early says so in its last line.
    """
    yield csv_text.lines([names])
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
    yield csv_text.lines([[f"The download ends after {MOST:,} rows. Filter more."]])
