"""``/cycles/{id}/rerun`` and ``/cycles/rerun``: run finished cycles again."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.namespaces import gate
from governance.operations import ledger
from governance.rest import parsing
from governance.rest.parsing import NAME
from governance.rest.resources import Resource, operation
from governance.rest.schemas import SHA256, TEXT, WHOLE, many, maybe, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.api.dead_letters import STARTED
from orbit.api.selection import Selection
from orbit.cycles import detail
from orbit.cycles.rerun import bulk, preview, single
from orbit.cycles.rerun.plan import DeliveryAction
from orbit.dispatch.endpoint_drift import EndpointDrift
from orbit.errors import (
    CycleActive,
    CycleUnknown,
    DeliveriesOpen,
    Disabled,
    NamespaceMismatch,
    NotFinished,
)
from orbit.states import CYCLE, Trigger

_MAX_PREVIEW = 100
#: A dry run needs no reason.
_REASON_UNLESS_DRY_RUN = {
    "if": {"properties": {"dry_run": {"const": True}}, "required": ["dry_run"]},
    "else": {"required": ["reason"]},
}
_DRY_RUN = {"dry_run": {"type": "boolean"}}
_SELECTION = Selection(
    bulk.CycleFilter,
    {
        "namespace": NAME,
        "status": {"enum": sorted(CYCLE.final)},
        "run_profile_id": NAME,
        "created_from": parsing.TIME,
        "created_to": parsing.TIME,
    },
    max_ids=bulk.MAX_IDS,
    max_rate=bulk.MAX_RATE,
    everything="all finished cycles that were not run again yet",
)
#: ``preview.document`` makes it, as the command and the console show it too.
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
            endpoint_now=maybe(one_of(EndpointDrift)),
        )
    ),
    dead_letters=many(ID),
    stopped=maybe(record(code=TEXT, detail=TEXT)),
)


class CycleRerun(Resource):
    @operation(
        summary="Rerun a cycle",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"reason": parsing.REASON, **_DRY_RUN}) | _REASON_UNLESS_DRY_RUN,
        answers={200: _PLAN, 202: record(cycle_run_id=ID, rerun_of=ID)},
        refusals=(
            CycleUnknown,
            NotFinished,
            Disabled,
            NamespaceMismatch,
            DeliveriesOpen,
            CycleActive,
            *gate.REFUSALS,
        ),
    )
    def post(self, request: Request, cycle_id: UUID) -> Response:
        """Start a new cycle that takes over what the finished one has done.

        With `dry_run` nothing starts: the answer is the plan.
        """
        # First: a cycle that the caller doesn't see is a 404, whatever the body.
        detail.ensure_visible(cycle_id, actor=self.actor)
        body = self.body()
        if body.get("dry_run"):
            return Response(preview.document(single.preview(cycle_id, actor=self.actor)))
        started = single.start(
            cycle_id, actor=self.actor, reason=body["reason"], source=Trigger.REST
        )
        return Response({"cycle_run_id": started, "rerun_of": cycle_id}, status=202)


class CycleBulkRerun(Resource):
    @operation(
        summary="Rerun cycles",
        scope=Scope.OPERATE,
        body=_REASON_UNLESS_DRY_RUN | parsing.closed_object({**_SELECTION.members, **_DRY_RUN}),
        answers={200: record(matched=WHOLE, cycle_run_ids=many(ID)), 202: STARTED},
        refusals=(NamespaceUnknown, ledger.LedgerBusy),
    )
    def post(self, request: Request) -> Response:
        """Start an operation run over `ids` or a `filter`.

        With `dry_run` nothing starts: the answer has the count and the first 100 ids.
        """
        body = self.body()
        selection = _SELECTION.read(body)
        if body.get("dry_run"):
            ids = bulk.preview(selection, actor=self.actor)
            return Response(
                {
                    "matched": min(len(ids), bulk.MAX_CYCLES),
                    "cycle_run_ids": ids[:_MAX_PREVIEW],
                }
            )
        started = bulk.start(
            selection,
            actor=self.actor,
            reason=body["reason"],
            source=Trigger.REST,
            rate=body.get("rate", bulk.RATE),
        )
        return Response(STARTED.of(started), status=202)
