"""Lists by keyset: a page starts after a row, not after a count, so it costs the same anywhere and new rows shift nothing.

A cursor is signed: one that we didn't make is refused, not guessed at.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries

DEFAULT, LARGEST = 50, 200
#: The parameters of every list.
PARAMETERS: dict[str, queries.Reader] = {
    "cursor": queries.Reader(
        str, {"type": "string", "description": "from the `next` or `previous` of another page"}
    ),
    "limit": queries.number(1, LARGEST),
}


class CursorInvalid(OrbitError):
    """This cursor isn't one of ours. Start again without one."""

    code, kind = "invalid_cursor", Kind.MALFORMED


def respond(
    request: Request,
    rows: "QuerySet[Any]",
    show: Callable[[Any], Any],
    *,
    sent: Mapping[str, Any],
    key: str = "id",
    newest_first: bool = True,
) -> Response:
    """Answer with one page of ``rows`` as ``{results, next, previous}``, in the order of the unique field ``key``.

    ``sent`` are the parameters as read with ``PARAMETERS`` among the known ones. Raises CursorInvalid. One query, of the page's rows
    and one more.
    """
    size: int = sent.get("limit", DEFAULT)
    signer = signing.Signer(salt=f"cursor {request.path}")
    backwards, edge = (
        _open(signer, sent["cursor"], rows, key) if "cursor" in sent else (False, None)
    )
    descending = newest_first != backwards
    if edge is not None:
        rows = rows.filter(**{f"{key}__{'lt' if descending else 'gt'}": edge})
    found: list[Model] = list(rows.order_by(f"-{key}" if descending else key)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    ahead, behind = (edge is not None, more) if backwards else (more, edge is not None)

    def link(row: Model | None, direction: str) -> str | None:
        if row is None:
            return None
        cursor = signer.sign(f"{direction}{getattr(row, key)}")
        query = urlencode(
            {
                **{name: value for name, value in request.query_params.items() if name != "cursor"},
                "cursor": cursor,
            }
        )
        return request.build_absolute_uri(f"{request.path}?{query}")

    return Response(
        {
            "results": [show(row) for row in found],
            "next": link(found[-1] if found and ahead else None, ">"),
            "previous": link(found[0] if found and behind else None, "<"),
        }
    )


def _open(signer: signing.Signer, cursor: str, rows: "QuerySet[Any]", key: str) -> tuple[bool, Any]:
    try:
        value = signer.unsign(cursor)
        return value[0] == "<", rows.model._meta.get_field(key).to_python(value[1:])
    except signing.BadSignature:
        raise CursorInvalid from None
