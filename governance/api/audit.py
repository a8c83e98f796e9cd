"""``/audit-trail``: search, read, verify."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.audit import verify
from governance.audit.search import Search
from governance.audit.verify import Position
from governance.kernel.errors import Kind, OrbitError
from governance.models import AuditTrailEntry
from governance.rest import pages, queries
from governance.rest.resources import Resource
from governance.rest.schemas import ANYTHING, SHA256, TEXT, TIME, TRUTH, WHOLE, maybe, page, record

#: How long one request walks; a longer chain is walked in several.
VERIFY_SECONDS = 5.0
_LARGEST = 2**63 - 1
_FILTERS: dict[str, queries.Reader] = {
    "actor": queries.text,
    "action": queries.text,
    "object_type": queries.text,
    "object_id": queries.text,
    "namespace": queries.text,
    "request_id": queries.text,
    "from": queries.moment,
    "to": queries.moment,
}
_NAMES = {"from": "since", "to": "until"}
_CURSOR = queries.Reader(
    str, {"type": "string", "description": "from the `next` of a walk that isn't at its end yet"}
)
ENTRY = record(
    "AuditEntry",
    id=WHOLE,
    at=TIME,
    actor=TEXT,
    action=TEXT,
    object_type=TEXT,
    object_id=TEXT,
    namespace=maybe(TEXT),
    before=ANYTHING,
    after=ANYTHING,
    reason=TEXT,
    request_id=TEXT,
    previous_hash=SHA256,
    hash=SHA256,
)
_VERDICT = record(
    "AuditVerdict",
    optional=("entries", "head", "first_broken", "problem", "verified", "next"),
    intact={**maybe(TRUTH), "description": "null: not at the end yet, go on at `next`"},
    entries=WHOLE,
    head=SHA256,
    first_broken=WHOLE,
    problem=TEXT,
    verified=WHOLE,
    next={"type": "string", "format": "uri"},
)


class EntryUnknown(OrbitError):
    """There is no such entry on the audit trail."""

    code, kind = "unknown_entry", Kind.MISSING


class Collection(Resource):
    """All entries, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: page(ENTRY)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first; who is confined to namespaces gets the entries of these."""
        search = Search(
            **{
                _NAMES.get(name, name): value
                for name, value in self.sent.items()
                if name in _FILTERS
            }
        )
        return pages.respond(request, search.entries(self.actor.namespaces), shown, sent=self.sent)


class One(Resource):
    """One entry."""

    parameters = {"GET": {}}
    answers = {"GET": {200: ENTRY}}
    refusals = {"GET": (EntryUnknown,)}

    def get(self, request: Request, number: int) -> Response:
        """Answer the entry."""
        entry = (
            Search().entries(self.actor.namespaces).filter(pk=number).first()
            if number <= _LARGEST
            else None
        )
        if entry is None:
            raise EntryUnknown(f"There is no entry {number} on the audit trail.")
        return Response(shown(entry))


class Verify(Resource):
    """The chain, walked."""

    parameters = {"GET": {"cursor": _CURSOR}}
    answers = {"GET": {200: _VERDICT}}
    refusals = {"GET": (verify.PositionInvalid,)}

    def get(self, request: Request) -> Response:
        """Answer ``{intact, entries, head}``, or which entry is the first broken one; or how far it is, and where to go on."""
        self.actor.require_workspace()
        found = verify.check(Position.from_cursor(self.sent.get("cursor")), seconds=VERIFY_SECONDS)
        further = (
            {}
            if found.intact is not None
            else {
                "next": request.build_absolute_uri(f"{request.path}?cursor={found.reached.cursor}")
            }
        )
        return Response({**found.to_dict(), **further})


def shown(entry: AuditTrailEntry) -> dict[str, Any]:
    """Return ``entry`` as answers show it."""
    return {
        "id": entry.pk,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "namespace": entry.namespace,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }
