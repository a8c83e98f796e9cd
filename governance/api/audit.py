"""``/audit-trail``: search, read, verify."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.audit import verify
from governance.audit.search import Search
from governance.audit.verify import Position
from governance.kernel.errors import Kind, OrbitError
from governance.rest import links, pages, queries
from governance.rest.fields import Fields, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import ANYTHING, SHA256, TEXT, TIME, TRUTH, WHOLE, maybe, record

#: How long one request verifies; a longer chain takes several.
VERIFY_SECONDS = 5.0
#: The column of ids holds no larger number.
_LARGEST = 2**63 - 1
_FILTERS: dict[str, queries.Reader] = {
    "actor": queries.text,
    "action": queries.text,
    "object_type": queries.text,
    "object_id": queries.text,
    "namespace": queries.text,
    "request_id": queries.text,
    "from": queries.moment.on("since"),
    "to": queries.moment.on("until"),
}
_CURSOR = queries.Reader(
    str, {"type": "string", "description": "from `next` of a verification that isn't finished"}
)
ENTRY = Fields(
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
#: ``verify`` makes it, as the command shows it too.
_VERDICT = record(
    "AuditVerdict",
    optional=("entries", "head", "first_broken", "problem", "verified", "next"),
    intact={**maybe(TRUTH), "description": "null: not finished, go on at `next`"},
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


class AuditEntryList(Resource):
    @operation(
        summary="List audit entries",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(ENTRY)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. Callers confined to namespaces get the entries of these."""
        search = Search(**queries.filters(self.query, _FILTERS))
        rows = search.entries(self.actor.namespaces)
        return pages.respond(request, rows, ENTRY.of, query=self.query, actor=self.actor)


class AuditEntryDetail(Resource):
    @operation(summary="Get an audit entry", answers={200: ENTRY}, refusals=(EntryUnknown,))
    def get(self, request: Request, number: int) -> Response:
        """Who did what, when and why, with the values before and after."""
        entries = Search().entries(self.actor.namespaces)
        entry = entries.filter(pk=number).first() if number <= _LARGEST else None
        if entry is None:
            raise EntryUnknown(f"There is no entry {number} on the audit trail.")
        return Response(ENTRY.of(entry))


class AuditVerification(Resource):
    @operation(
        summary="Verify the audit trail",
        query={"cursor": _CURSOR},
        answers={200: _VERDICT},
        refusals=(verify.PositionInvalid,),
    )
    def get(self, request: Request) -> Response:
        """Recompute the chain of hashes, for at most 5 seconds a request.

        Go on at `next` while `intact` is null. `first_broken` is the first wrong entry.
        """
        # The chain runs through all namespaces.
        self.actor.require_workspace()
        start = Position.from_cursor(self.query.get("cursor"))
        verdict = verify.check(start, seconds=VERIFY_SECONDS)
        document = verdict.to_dict()
        if verdict.intact is None:
            cursor = verdict.reached.cursor
            document["next"] = links.whole(request, f"{request.path}?cursor={cursor}")
        return Response(document)
