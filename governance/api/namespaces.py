"""``/governance/namespaces``: list, create, read, halt, drain, resume."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.kernel.reasons import NO_REASON, ReasonInvalid
from governance.namespaces import halts, registry, status
from governance.namespaces.stops import UntilInvalid
from governance.rest import pages, parsing, queries
from governance.rest.fields import Fields, each, field, page_of, under
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, TRUTH, UUID, WHOLE, many, maybe, one_of, record
from governance.states import Mode, Stopped

#: As it is stored with a stop.
CERTIFICATE = record(
    "Certificate",
    by=TEXT,
    reason=TEXT,
    commanded_at=TIME,
    last_delivery_started_at=maybe(TIME),
    started_after_command=WHOLE,
    in_flight=many(
        record(
            namespace=TEXT,
            cycle_run_id=UUID,
            dispatch_job_id=UUID,
            endpoint_key=TEXT,
            attempt=WHOLE,
            started_at=TIME,
            ended_at=maybe(TIME),
            outcome=TEXT,
            status_code=maybe(WHOLE),
        )
    ),
    in_flight_count=WHOLE,
    quiet_at=TIME,
)
STATUS = Fields(
    "Standing",
    namespace=TEXT,
    state=one_of(Mode),
    halt=TRUTH,
    reason=TEXT,
    by=TEXT,
    since=maybe(TIME),
    until=maybe(TIME),
    certificate=maybe(CERTIFICATE),
)
NAMESPACE = Fields(
    "Namespace", name=TEXT, external_id=UUID, created_at=TIME, **under(status.of, STATUS)
)
_STOP = Fields(
    "Stop",
    kind=one_of(Stopped),
    reason=field(TEXT, lambda stop: stop.reason or NO_REASON),
    by=field(TEXT, "started_by"),
    since=TIME,
    until=maybe(TIME),
    quiet_at=maybe(TIME),
    ended_at=maybe(TIME),
    ended_by=TEXT,
    ended_reason=TEXT,
    certificate=maybe(CERTIFICATE),
)
_WITH_STOPS = Fields(
    "NamespaceDetail",
    **NAMESPACE.fields,
    stops=each(_STOP, lambda row: status.history(row.pk)),
)


class NamespaceList(Resource):
    @operation(
        summary="List namespaces",
        query={"state": queries.one_of(Mode), **pages.PARAMETERS},
        answers={200: page_of(NAMESPACE)},
    )
    def get(self, request: Request) -> Response:
        """Oldest first, each with its state."""
        rows = status.rows(self.actor)
        if "state" in self.query:
            rows = rows.filter(status.in_state(self.query["state"]))
        return pages.respond(request, rows, NAMESPACE.of, query=self.query, newest_first=False)

    @operation(
        summary="Create a namespace",
        scope=Scope.ADMINISTER,
        body=parsing.closed_object(
            {"name": {"type": "string", "maxLength": 200}}, required=("name",)
        ),
        answers={201: NAMESPACE},
        refusals=(registry.NameInvalid, registry.NamespaceExists),
    )
    def post(self, request: Request) -> Response:
        """The name can't be changed later."""
        name = self.body()["name"]
        registry.create(name, actor=self.actor)
        return Response(NAMESPACE.of(status.row_of(name, actor=self.actor)), status=201)


class NamespaceDetail(Resource):
    @operation(
        summary="Get a namespace",
        answers={200: _WITH_STOPS},
        refusals=(NamespaceUnknown,),
    )
    def get(self, request: Request, namespace: str) -> Response:
        """Its state, with its latest halts and drains and their certificates."""
        return Response(_WITH_STOPS.of(status.row_of(namespace, actor=self.actor)))


class NamespaceHalt(Resource):
    @operation(
        summary="Halt a namespace",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"reason": parsing.OPTIONAL_REASON, "until": parsing.UNTIL}),
        answers={200: STATUS},
        refusals=(NamespaceUnknown, ReasonInvalid, UntilInvalid),
    )
    def post(self, request: Request, namespace: str) -> Response:
        """Stop all work in it until it is resumed. A second halt changes nothing."""
        body = self.body()
        halted = halts.halt(
            namespace,
            actor=self.actor,
            reason=body.get("reason") or "",
            until=parsing.moment(body, "until"),
        )
        return Response(STATUS.of(halted))


class NamespaceDrain(Resource):
    @operation(
        summary="Drain a namespace",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",)
        ),
        answers={200: STATUS},
        refusals=(NamespaceUnknown, halts.StillHalted, ReasonInvalid, UntilInvalid),
    )
    def post(self, request: Request, namespace: str) -> Response:
        """Start no new cycles in it; those that run finish."""
        # First: a namespace that the caller doesn't see is a 404, whatever the body.
        status.row_of(namespace, actor=self.actor)
        body = self.body()
        draining = halts.drain(
            namespace,
            actor=self.actor,
            reason=body["reason"],
            until=parsing.moment(body, "until"),
        )
        return Response(STATUS.of(draining))


class NamespaceResume(Resource):
    @operation(
        summary="Resume a namespace",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={200: STATUS},
        refusals=(NamespaceUnknown, ReasonInvalid),
    )
    def post(self, request: Request, namespace: str) -> Response:
        """End its halt or drain."""
        status.row_of(namespace, actor=self.actor)
        reason = self.body()["reason"]
        return Response(STATUS.of(halts.resume(namespace, actor=self.actor, reason=reason)))
