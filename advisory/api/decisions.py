"""``/strategy-proposals/{id}/approve`` and ``/reject``."""

import json
from typing import Any
from uuid import UUID

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from advisory.api.proposals import PROPOSAL
from advisory.decisions.decide import decide
from advisory.decisions.probation import MOST_CYCLES, ProbationInvalid, Terms
from advisory.errors import (
    AlreadyDecided,
    ChangedSinceSeen,
    Expired,
    OwnProposal,
    ProposalUnknown,
    Superseded,
)
from advisory.proposals import reading
from advisory.proposals.patches import PatchInvalid
from advisory.states import Verdict
from governance.access.roles import Scope
from governance.kernel.reasons import ReasonInvalid
from governance.rest import idempotency, parsing
from governance.rest.resources import Resource, operation
from orbit.errors import DocumentInvalid, ProfileUnknown, RunProfileUnknown, Stale

_SEEN = {
    "type": ["string", "null"],
    "pattern": "^[0-9a-f]{64}$",
    "description": "the proposal's seen_sha256 as you read it: refused if it is another now",
}
_PROBATION = {
    **parsing.closed_object(
        {
            "cycles": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_CYCLES},
            "until": parsing.UNTIL,
        }
    ),
    "type": ["object", "null"],
    "description": "the earlier revision comes back after so many ended cycles, or then",
}
_REFUSALS = (
    ProposalUnknown,
    AlreadyDecided,
    Superseded,
    Expired,
    OwnProposal,
    ChangedSinceSeen,
    ReasonInvalid,
    ProfileUnknown,
    RunProfileUnknown,
    idempotency.KeyInvalid,
    idempotency.KeyReused,
)


class ProposalApproval(Resource):
    @operation(
        summary="Approve a proposal",
        scope=Scope.REVIEW,
        body=parsing.closed_object(
            {"reason": parsing.REASON, "seen_sha256": _SEEN, "probation": _PROBATION},
            required=("reason",),
        ),
        headers={"Idempotency-Key": idempotency.HEADER},
        answers={200: PROPOSAL},
        refusals=(*_REFUSALS, PatchInvalid, DocumentInvalid, Stale, ProbationInvalid),
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """With enough approvals its change is applied as a new revision.

        Not by its author. With a `probation` the earlier revision comes back by itself, unless
        someone confirms the change.
        """
        return _decide(self, proposal_id, Verdict.APPROVE)


class ProposalRejection(Resource):
    @operation(
        summary="Reject a proposal",
        scope=Scope.REVIEW,
        body=parsing.closed_object(
            {"reason": parsing.REASON, "seen_sha256": _SEEN}, required=("reason",)
        ),
        headers={"Idempotency-Key": idempotency.HEADER},
        answers={200: PROPOSAL},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """One rejection is enough. Not by its author."""
        return _decide(self, proposal_id, Verdict.REJECT)


def _decide(resource: Resource, proposal_id: UUID, verdict: Verdict) -> Response:
    actor, request = resource.actor, resource.request
    # First: a proposal that the caller doesn't see is a 404, whatever the body.
    reading.find(proposal_id, actor=actor)
    body = resource.body()

    def run(call: UUID | None) -> dict[str, Any]:
        decide(
            proposal_id,
            verdict,
            actor=actor,
            reason=body["reason"],
            seen_sha256=body.get("seen_sha256"),
            probation=_terms(body.get("probation")),
            call=call,
        )
        answer = JSONRenderer().render(PROPOSAL.of(reading.find(proposal_id, actor=actor)))
        # Stored as it is sent, so that a repeated request gets the same bytes of each time.
        document: dict[str, Any] = json.loads(answer)
        return document

    # The body doesn't name the proposal, so the key's route must.
    key = idempotency.key_of(
        request,
        route=f"strategy-proposals:{proposal_id}:{verdict}",
        body=parsing.raw_body(request),
    )
    answer = idempotency.get_or_continue(
        key,
        run,
        status=200,
        ensure_visible=lambda stored: None,  # it was found just now
    )
    return Response(answer)


def _terms(probation: dict[str, Any] | None) -> Terms | None:
    if probation is None:
        return None
    return Terms(probation.get("cycles"), parsing.moment(probation, "until", at="/probation"))
