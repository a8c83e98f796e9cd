"""Lists in pages by keyset: every page costs the same, and new rows shift nothing.

Cursors are signed: a forged one is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from governance.kernel.errors import Kind, OrbitError
from governance.rest import links, queries

DEFAULT, LARGEST = 50, 200
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


def respond(
    request: Request,
    rows: "QuerySet[Any]",
    show: Callable[[Any], object],
    *,
    query: Mapping[str, Any],
    key: str = "id",
    newest_first: bool = True,
) -> Response:
    """Answer one page of ``rows`` by the unique field ``key``. Raises CursorInvalid."""
    size: int = query.get("limit", DEFAULT)
    signer = signing.Signer(salt=f"cursor {request.path}")
    backwards, edge = (
        _open(signer, query["cursor"], rows, key) if "cursor" in query else (False, None)
    )
    descending = newest_first != backwards
    if edge is not None:
        rows = rows.filter(**{f"{key}__{'lt' if descending else 'gt'}": edge})
    # One row more than the page says whether there is a next one.
    page: list[Model] = list(rows.order_by(f"-{key}" if descending else key)[: size + 1])
    more, page = len(page) > size, page[:size]
    if backwards:
        page.reverse()
    has_next, has_previous = (edge is not None, more) if backwards else (more, edge is not None)

    def link(row: Model | None, direction: str) -> str | None:
        if row is None:
            return None
        kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
        cursor = signer.sign(f"{direction}{getattr(row, key)}")
        parameters = urlencode({**kept, "cursor": cursor})
        return links.whole(request, f"{request.path}?{parameters}")

    return Response(
        {
            "results": [show(row) for row in page],
            "next": link(page[-1] if page and has_next else None, ">"),
            "previous": link(page[0] if page and has_previous else None, "<"),
        }
    )


def _open(signer: signing.Signer, cursor: str, rows: "QuerySet[Any]", key: str) -> tuple[bool, Any]:
    try:
        value = signer.unsign(cursor)
        # "<" asks for the page before this row.
        return value[0] == "<", rows.model._meta.get_field(key).to_python(value[1:])
    except signing.BadSignature:
        raise CursorInvalid from None
