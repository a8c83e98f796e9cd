"""The rows of a filtered list as CSV."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import BinaryField, Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from governance.rest import csv_rows

#: The query parameter of a list that asks for its rows.
PARAMETER = "_export"


def columns(model: type[Model]) -> tuple[str, ...]:
    """Return all columns of a table that hold no bytes, for ``exported``."""
    fields = (each for each in model._meta.concrete_fields if not isinstance(each, BinaryField))
    return tuple(each.attname.replace("namespace_id", "namespace__name") for each in fields)


def respond(model_admin: Any, request: HttpRequest) -> StreamingHttpResponse:
    """Stream ``exported`` of the rows that the list has. Raises PermissionDenied, BadRequest."""
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    request.GET = query  # type: ignore[assignment] # Django reads every parameter as a filter
    rows = listed(model_admin, request)
    key = [name.lstrip("-") for name in model_admin.ordering or model_admin.opts.ordering]
    lines = csv_rows.lines(rows, model_admin.exported, tuple(key))
    return stream(lines, name=f"{model_admin.opts.model_name}.csv", content_type="text/csv")


def listed(model_admin: Any, request: HttpRequest) -> QuerySet[Any]:
    """Return all rows that the list has. Raises PermissionDenied and BadRequest."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        rows: QuerySet[Any] = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        raise BadRequest("The filter can't be read") from None
    return rows


def stream(lines: Iterable[str], *, name: str, content_type: str) -> StreamingHttpResponse:
    """Answer with a file to download."""
    response = StreamingHttpResponse(lines, content_type=f"{content_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
