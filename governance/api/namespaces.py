"""``/governance/namespaces``: list, make, read, halt, drain, resume."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.namespaces import halts, registry, status
from governance.namespaces.stops import ReasonInvalid, UntilInvalid
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from governance.rest.schemas import (
    TEXT,
    TIME,
    TRUTH,
    UUID,
    WHOLE,
    many,
    maybe,
    one_of,
    page,
    record,
)
from governance.states import Mode, Stopped

_FILTERS: dict[str, queries.Reader] = {"state": queries.one_of(Mode)}
_CREATE = parsing.closed_object({"name": {"type": "string", "maxLength": 200}}, required=("name",))
_HALT = parsing.closed_object({"reason": parsing.REASON_IF_ANY, "until": parsing.UNTIL})
_DRAIN = parsing.closed_object(
    {"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",)
)
_RESUME = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))
_IN_FLIGHT = record(
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
CERTIFICATE = record(
    "Certificate",
    by=TEXT,
    reason=TEXT,
    commanded_at=TIME,
    last_delivery_started_at=maybe(TIME),
    started_after_command=WHOLE,
    in_flight=many(_IN_FLIGHT),
    in_flight_count=WHOLE,
    quiet_at=TIME,
)
_STANDING = {
    "namespace": TEXT,
    "state": one_of(Mode),
    "halt": TRUTH,
    "reason": TEXT,
    "by": TEXT,
    "since": maybe(TIME),
    "until": maybe(TIME),
    "certificate": maybe(CERTIFICATE),
}
_STOP = record(
    "Stop",
    kind=one_of(Stopped),
    reason=TEXT,
    by=TEXT,
    since=TIME,
    until=maybe(TIME),
    quiet_at=maybe(TIME),
    ended_at=maybe(TIME),
    ended_by=TEXT,
    ended_reason=TEXT,
    certificate=maybe(CERTIFICATE),
)
STANDING = record("Standing", **_STANDING)
NAMESPACE = record("Namespace", name=TEXT, external_id=UUID, created_at=TIME, **_STANDING)
_WITH_STOPS = record(
    "NamespaceDetail", name=TEXT, external_id=UUID, created_at=TIME, **_STANDING, stops=many(_STOP)
)


class Collection(Resource):
    """All namespaces, in pages; and their births."""

    scopes = {"POST": Scope.ADMINISTER}
    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}, "POST": {}}
    bodies = {"POST": _CREATE}
    answers = {"GET": {200: page(NAMESPACE)}, "POST": {201: NAMESPACE}}
    refusals = {"POST": (registry.NameInvalid, registry.NamespaceExists)}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, in the order of their making."""
        rows = status.rows(self.actor)
        if "state" in self.sent:
            rows = rows.filter(status.in_state(self.sent["state"]))
        return pages.respond(request, rows, status.described, sent=self.sent, newest_first=False)

    def post(self, request: Request) -> Response:
        """Make a namespace: 201 with it, or 409."""
        name = self.document()["name"]
        registry.create(name, actor=self.actor)
        return Response(status.described(status.row_of(name, actor=self.actor)), status=201)


class One(Resource):
    """One namespace."""

    parameters = {"GET": {}}
    answers = {"GET": {200: _WITH_STOPS}}
    refusals = {"GET": (NamespaceUnknown,)}

    def get(self, request: Request, namespace: str) -> Response:
        """Answer how it stands, with its newest stops and their certificates."""
        row = status.row_of(namespace, actor=self.actor)
        return Response({**status.described(row), "stops": status.told(status.history(row.pk))})


class Halt(Resource):
    """The end of all work in a namespace, until somebody resumes it."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _HALT}
    answers = {"POST": {200: STANDING}}
    refusals = {"POST": (NamespaceUnknown, ReasonInvalid, UntilInvalid)}

    def post(self, request: Request, namespace: str) -> Response:
        """Halt it, with or without a reason: 200 with how it stands; a second one changes nothing."""
        sent = self.document()
        stands = halts.halt(
            namespace,
            actor=self.actor,
            reason=sent.get("reason") or "",
            until=parsing.moment(sent, "until"),
        )
        return Response(stands.data())


class Drain(Resource):
    """No new starts in a namespace; what runs goes on to its end."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _DRAIN}
    answers = {"POST": {200: STANDING}}
    refusals = {"POST": (NamespaceUnknown, halts.StillHalted, ReasonInvalid, UntilInvalid)}

    def post(self, request: Request, namespace: str) -> Response:
        """Drain it: 200 with how it stands, 409 where it is halted."""
        status.row_of(namespace, actor=self.actor)
        sent = self.document()
        return Response(
            halts.drain(
                namespace,
                actor=self.actor,
                reason=sent["reason"],
                until=parsing.moment(sent, "until"),
            ).data()
        )


class Resume(Resource):
    """The end of a halt or a drain."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _RESUME}
    answers = {"POST": {200: STANDING}}
    refusals = {"POST": (NamespaceUnknown, ReasonInvalid)}

    def post(self, request: Request, namespace: str) -> Response:
        """Resume it: 200 with how it stands."""
        status.row_of(namespace, actor=self.actor)
        return Response(
            halts.resume(namespace, actor=self.actor, reason=self.document()["reason"]).data()
        )
