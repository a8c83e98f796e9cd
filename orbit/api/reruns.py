"""``/cycles/{id}/rerun`` and ``/cycles/rerun``: finished cycles run again, one or many."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.namespaces import gate
from governance.operations import ledger
from governance.rest import parsing, queries
from governance.rest.parsing import BodyInvalid
from governance.rest.resources import Resource
from governance.rest.schemas import SHA256, TEXT, WHOLE, many, maybe, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.cycles import detail
from orbit.cycles.rerun import bulk, preview, single
from orbit.cycles.rerun.plan import DeliveryAction
from orbit.dispatch.endpoint_drift import Today
from orbit.errors import (
    CycleActive,
    CycleUnknown,
    DeliveriesOpen,
    Disabled,
    NamespaceMismatch,
    NotFinished,
)
from orbit.states import CYCLE, Trigger

_SHOWN = 100
_UUID = {
    "type": "string",
    "format": "uuid",
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "description": "a UUID",
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_TIME = {"type": "string", "maxLength": 50, "format": "date-time"}
# A look needs no reason.
_DEED = {
    "if": {"properties": {"dry_run": {"const": True}}, "required": ["dry_run"]},
    "else": {"required": ["reason"]},
}
_ONE = parsing.closed_object({"reason": parsing.REASON, "dry_run": {"type": "boolean"}}) | _DEED
_MANY = _DEED | parsing.closed_object(
    {
        "reason": parsing.REASON,
        "ids": {"type": "array", "items": _UUID, "minItems": 1, "maxItems": bulk.MAX_IDS},
        "filter": parsing.closed_object(
            {
                "namespace": _NAME,
                "status": {"enum": sorted(CYCLE.final)},
                "run_profile_id": _NAME,
                "created_from": _TIME,
                "created_to": _TIME,
            }
        ),
        "rate": {"type": "integer", "minimum": 1, "maximum": bulk.MAX_RATE},
        "dry_run": {"type": "boolean"},
    }
)
_PLAN = record(
    "RerunPlan",
    rerun_of=ID,
    namespace=TEXT,
    profile_id=maybe(TEXT),
    profile_revision=maybe(WHOLE),
    run_profile_id=maybe(TEXT),
    run_profile_revision=maybe(WHOLE),
    tiers=many(
        record(
            optional=("transformation_id", "cycle_run_id", "output_sha256"),
            tier=WHOLE,
            action=one_of(["take_over", "run"]),
            transformation_id=ID,
            cycle_run_id=ID,
            output_sha256=SHA256,
        )
    ),
    deliveries=many(
        record(
            tier=WHOLE,
            normalization_item_id=ID,
            endpoint_key=TEXT,
            action=one_of(DeliveryAction),
            delivery_id=maybe(ID),
            dispatch_job_id=maybe(ID),
            dead_letter_id=maybe(ID),
            endpoint_now=maybe(one_of(Today)),
        )
    ),
    dead_letters=many(ID),
    stopped=maybe(record(code=TEXT, detail=TEXT)),
)


class Rerun(Resource):
    """A finished cycle run again."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _ONE}
    answers = {"POST": {200: _PLAN, 202: record(cycle_run_id=ID, rerun_of=ID)}}
    refusals = {
        "POST": (
            CycleUnknown,
            NotFinished,
            Disabled,
            NamespaceMismatch,
            DeliveriesOpen,
            CycleActive,
            *gate.REFUSALS,
        )
    }

    def post(self, request: Request, cycle_id: UUID) -> Response:
        """Start the new cycle: 202 ``{cycle_run_id}``, or 409; with ``dry_run`` 200 and what would be done."""
        detail.ensure_visible(cycle_id, actor=self.actor)
        sent = self.document()
        if sent.get("dry_run"):
            return Response(preview.document(single.preview(cycle_id, actor=self.actor)))
        started = single.start(
            cycle_id, actor=self.actor, reason=sent["reason"], source=Trigger.REST
        )
        return Response({"cycle_run_id": str(started), "rerun_of": str(cycle_id)}, status=202)


class RerunMany(Resource):
    """Many finished cycles run again."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _MANY}
    answers = {
        "POST": {
            200: record(matched=WHOLE, cycle_run_ids=many(ID)),
            202: record(operation_run_id=ID, matched=WHOLE),
        }
    }
    refusals = {"POST": (NamespaceUnknown, ledger.LedgerBusy)}

    def post(self, request: Request) -> Response:
        """Start an operation run: 202 ``{operation_run_id, matched}``; with ``dry_run`` 200 ``{matched, cycle_run_ids}``, the first hundred."""
        sent = self.document()
        wanted = _wanted(sent)
        if sent.get("dry_run"):
            found = bulk.preview(wanted, actor=self.actor)
            return Response(
                {
                    "matched": min(len(found), bulk.MAX_CYCLES),
                    "cycle_run_ids": [str(one) for one in found[:_SHOWN]],
                }
            )
        started = bulk.start(
            wanted,
            actor=self.actor,
            reason=sent["reason"],
            source=Trigger.REST,
            rate=sent.get("rate", bulk.RATE),
        )
        return Response(
            {"operation_run_id": str(started.run_id), "matched": started.matched}, status=202
        )


def _wanted(sent: dict[str, Any]) -> bulk.CycleSelection:
    """Return the cycles that a body names. Raises BodyInvalid."""
    if "ids" in sent and "filter" in sent:
        raise _invalid("/filter", "Stands beside `ids`: send one of the two.")
    if "ids" in sent:
        return [UUID(text) for text in sent["ids"]]
    if "filter" not in sent:
        raise _invalid(
            "",
            "Name `ids`, or a `filter`; `{}` is all that have finished and were not run again yet.",
        )
    given = dict(sent["filter"])
    for name in ("created_from", "created_to"):
        if name in given:
            try:
                given[name] = queries.moment(given[name])
            except ValueError as error:
                raise _invalid(f"/filter/{name}", f"This {error}.") from None
    return bulk.CycleFilter(**given)


def _invalid(pointer: str, detail: str) -> BodyInvalid:
    return BodyInvalid(detail, errors=[{"pointer": pointer, "detail": detail}])
