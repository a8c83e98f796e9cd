"""Lists in pages by keyset: every page costs the same, and new rows shift nothing.

Cursors are signed: a forged one is refused.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import Actor
from governance.kernel.errors import Kind, OrbitError
from governance.rest import keyset, links, queries

DEFAULT, LARGEST = 50, 200
#: A page over ``scanned`` looks at this many rows and those of one more second.
MOST_SCANNED = 20_000
#: The query parameters of every list.
PARAMETERS: dict[str, queries.Reader] = {
    "cursor": queries.Reader(
        str, {"type": "string", "description": "from `next` or `previous` of another page"}
    ),
    "limit": queries.number(1, LARGEST),
}


class CursorInvalid(OrbitError):
    """This cursor isn't one of ours. Start again without one."""

    code, kind = "invalid_cursor", Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: beyond the row, or time, whose key starts with ``values``."""

    backwards: bool
    values: tuple[Any, ...]


def respond(
    request: Request,
    rows: "QuerySet[Any]",
    show: Callable[[Any], object],
    *,
    query: Mapping[str, Any],
    key: tuple[str] | tuple[str, str] = ("id",),
    newest_first: bool = True,
    scanned: "QuerySet[Any] | None" = None,
    actor: Actor | None = None,
) -> Response:
    """Answer one page of ``rows`` by the unique ``key``: a field, or a time and a field.

    If ``rows`` has filters without an index, pass the same rows without these as ``scanned``. A
    page then ends after ``MOST_SCANNED`` of them, full or not. If their key isn't a time, the
    caller must see all of them. With ``actor``, the rows of each of its namespaces are read by
    an index on ``namespace`` and ``key``. Raises CursorInvalid.
    """
    size: int = query.get("limit", DEFAULT)
    signer = signing.Signer(salt=f"cursor {request.path}")
    cursor = _open(signer, query["cursor"], rows, key) if "cursor" in query else None
    backwards = cursor is not None and cursor.backwards
    descending = newest_first != backwards
    order = [f"-{name}" if descending else name for name in key]
    end = None
    if cursor is not None:
        rows = rows.filter(keyset.beyond(key, cursor.values, descending=descending))
    if scanned is not None:
        if cursor is not None:
            scanned = scanned.filter(keyset.beyond(key, cursor.values, descending=descending))
        end = _end(scanned.order_by(*order), key[0], descending=descending)
        if end is not None:
            rows = rows.filter(**{f"{key[0]}__{'gte' if descending else 'lte'}": end})
    # One row more than the page says whether there is a next one.
    rows = rows.order_by(*order)
    page: list[Model] = list(actor.first(rows, size + 1) if actor else rows[: size + 1])
    more, page = len(page) > size, page[:size]
    # Beyond the last row; beyond what was looked at; or nowhere.
    onwards = _key(page[-1], key) if more else None if end is None else (end,)
    back = _key(page[0], key) if page and cursor is not None else None
    if backwards:
        page.reverse()
    following, previous = (back, onwards) if backwards else (onwards, back)

    def link(values: tuple[Any, ...] | None, direction: str) -> str | None:
        if values is None:
            return None
        kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
        text = signer.sign(direction + json.dumps([_text(value) for value in values]))
        return links.whole(request, f"{request.path}?{urlencode({**kept, 'cursor': text})}")

    return Response(
        {
            "results": [show(row) for row in page],
            "next": link(following, ">"),
            "previous": link(previous, "<"),
        }
    )


def _end(scanned: "QuerySet[Any]", field: str, *, descending: bool) -> Any:
    """Return the time or key up to which a page looks; None: to the end."""
    for last in scanned.values_list(field, flat=True)[MOST_SCANNED : MOST_SCANNED + 1]:
        if not isinstance(last, datetime):
            return last
        # Whole seconds: the cursor tells nothing of a row that its caller may not see.
        whole = last.replace(microsecond=0)
        return whole if descending else whole + timedelta(seconds=1)
    return None


def _key(row: Model, key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in key)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _open(
    signer: signing.Signer, cursor: str, rows: "QuerySet[Any]", key: tuple[str, ...]
) -> _Cursor:
    try:
        value = signer.unsign(cursor)
        texts = json.loads(value[1:])
        fields = [rows.model._meta.get_field(name) for name in key]
        values = tuple(field.to_python(text) for field, text in zip(fields, texts, strict=False))
    # A release before this one signed other texts.
    except (signing.BadSignature, ValidationError, ValueError, TypeError):
        raise CursorInvalid from None
    # "<" asks for the page before this row.
    return _Cursor(value[0] == "<", values)
