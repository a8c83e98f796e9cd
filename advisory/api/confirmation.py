"""``/strategy-proposals/{id}/confirm``."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from advisory.api import follow_up
from advisory.api.proposals import PROPOSAL
from advisory.decisions import probation
from advisory.errors import OwnProposal, ProposalUnknown
from advisory.proposals import reading
from governance.access.roles import Scope
from governance.kernel.reasons import ReasonInvalid
from governance.rest import parsing
from governance.rest.resources import Resource, operation
from orbit.errors import ProfileUnknown, RunProfileUnknown


class ProposalConfirm(Resource):
    @operation(
        summary="Confirm a change on probation",
        scope=Scope.REVIEW,
        body=parsing.WITH_REASON,
        answers={200: PROPOSAL},
        refusals=(
            ProposalUnknown,
            OwnProposal,
            probation.NoProbation,
            probation.ProbationOver,
            ProfileUnknown,
            RunProfileUnknown,
            ReasonInvalid,
        ),
    )
    def post(self, request: Request, proposal_id: UUID) -> Response:
        """The change stays. Without that, the earlier revision comes back at the probation's end.

        Its author can't confirm it: another user has to.
        """
        # First: a proposal that the caller doesn't see is a 404, whatever the body.
        reading.find(proposal_id, actor=self.actor)
        probation.confirm(proposal_id, actor=self.actor, reason=self.body()["reason"])
        proposal = reading.find(proposal_id, actor=self.actor)
        return Response(PROPOSAL.of(proposal, **follow_up.values(proposal)))
