"""``/governance/namespaces/{namespace}/approval-policy``."""

from rest_framework.request import Request
from rest_framework.response import Response

from advisory.decisions import policy
from advisory.decisions.policy import MOST_APPROVALS, MOST_HOURS, PolicyInvalid
from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.kernel.reasons import ReasonInvalid
from governance.rest import parsing
from governance.rest.fields import Fields
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, WHOLE, maybe

POLICY = Fields(
    "ApprovalPolicy",
    namespace=TEXT,
    required_approvals=WHOLE,
    expires_after_hours=maybe(WHOLE),
    updated_at=maybe(TIME),
)
_BODY = parsing.closed_object(
    {
        "required_approvals": {"type": "integer", "minimum": 1, "maximum": MOST_APPROVALS},
        "expires_after_hours": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": MOST_HOURS,
            "description": "from a proposal's creation; null: proposals don't expire",
        },
        "reason": parsing.REASON,
    },
    required=("required_approvals", "expires_after_hours", "reason"),
)


class ApprovalPolicyDetail(Resource):
    @operation(
        summary="Get the approval policy of a namespace",
        answers={200: POLICY},
        refusals=(NamespaceUnknown,),
    )
    def get(self, request: Request, namespace: str) -> Response:
        """How many approvals a proposal needs, and when it expires."""
        return Response(POLICY.of(policy.of(namespace, actor=self.actor)))

    @operation(
        summary="Set the approval policy of a namespace",
        scope=Scope.CONFIGURE,
        body=_BODY,
        answers={200: POLICY},
        refusals=(NamespaceUnknown, PolicyInvalid, ReasonInvalid),
    )
    def put(self, request: Request, namespace: str) -> Response:
        """For later proposals: a pending one keeps what was in force when it was made."""
        # First: a namespace that the caller doesn't see is a 404, whatever the body.
        policy.of(namespace, actor=self.actor)
        body = self.body()
        changed = policy.change(
            namespace,
            required_approvals=body["required_approvals"],
            expires_after_hours=body["expires_after_hours"],
            reason=body["reason"],
            actor=self.actor,
        )
        return Response(POLICY.of(changed))
