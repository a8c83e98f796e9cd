"""``/telemetry/coverage``: which sessions didn't report what they had to."""

from typing import Any
from urllib.parse import urlencode

from django.core import signing
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import links, pages, queries
from governance.rest.fields import Fields, computed, each
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, WHOLE, many, maybe, one_of
from telemetry import coverage
from telemetry.coverage import Code, Edge, SessionCoverage, Status

#: Sessions are small, and reports are read whole.
LARGEST = 1000
_QUERY: dict[str, queries.Reader] = {
    "session_id": queries.text.on("session"),
    "namespace": queries.text,
    "from": queries.moment.on("since"),
    "to": queries.moment.on("until"),
    "cursor": pages.PARAMETERS["cursor"],
    "limit": queries.number(1, LARGEST).on("size"),
}
_SESSION = Fields(
    "SessionCoverage",
    session_id=TEXT,
    status=one_of(Status),
    missing=many(TEXT),
    codes=many(one_of(Code)),
    missing_artifacts=WHOLE,
    open_tasks=many(TEXT),
)
_COVERAGE = Fields(
    "Coverage",
    overall=one_of(Status),
    sessions_total=WHOLE,
    sessions_with_gaps=WHOLE,
    sessions_failed=WHOLE,
    sessions=each(_SESSION, "sessions"),
    next=computed(maybe(TEXT)),
    previous=computed(maybe(TEXT)),
)
_SIGNER = signing.Signer(salt="cursor telemetry coverage")


class TelemetryCoverage(Resource):
    @operation(
        summary="Get the coverage of sessions",
        query=_QUERY,
        answers={200: _COVERAGE},
        refusals=(pages.CursorInvalid,),
    )
    def get(self, request: Request) -> Response:
        """Sessions with gaps come first; up to 1,000 are a page. A session that is asked for and
        never reported fails.
        """
        options = {"size": LARGEST, **queries.filters(self.query, _QUERY)}
        chosen = options.pop("namespace", None)
        namespaces = self.actor.namespaces
        if chosen is not None:
            namespaces = frozenset({chosen} if self.actor.sees(chosen) else ())
        cursor = options.pop("cursor", None)
        if cursor is not None:
            options["backwards"], options["edge"] = _open(cursor)
        result = coverage.scan(namespaces=namespaces, **options)
        first, last = (result.sessions[0], result.sessions[-1]) if result.sessions else (None, None)
        return Response(
            _COVERAGE.of(
                result,
                next=_link(request, ">", last) if result.has_next else None,
                previous=_link(request, "<", first) if result.start else None,
            )
        )


def _link(request: Request, direction: str, session: SessionCoverage | None) -> str | None:
    if session is None:
        return None
    rank, name = session.edge
    kept = {key: value for key, value in request.query_params.items() if key != "cursor"}
    parameters = urlencode({**kept, "cursor": _SIGNER.sign(f"{direction}{rank}{name}")})
    return links.whole(request, f"{request.path}?{parameters}")


def _open(cursor: str) -> tuple[bool, Edge]:
    try:
        value: Any = _SIGNER.unsign(cursor)
    except signing.BadSignature:
        raise pages.CursorInvalid from None
    return value[0] == "<", (int(value[1]), value[2:])
