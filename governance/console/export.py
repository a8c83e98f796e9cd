"""The rows of a filtered list as CSV."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import BinaryField, Model
from django.http import HttpRequest, StreamingHttpResponse

from governance.rest import csv_rows

#: The query parameter of a list that asks for its rows.
PARAMETER = "_export"


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
        csv_rows.lines(rows, model_admin.exported, tuple(key)),
        content_type="text/csv; charset=utf-8",
    )
    name = f"{model_admin.opts.model_name}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
