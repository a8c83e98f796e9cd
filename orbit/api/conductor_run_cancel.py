"""``/conductor/runs/{id}/cancel``."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import parsing
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, maybe, one_of, record
from orbit.conductor import reading, run_cancel
from orbit.errors import ConductorRunUnknown, InvalidTransition
from orbit.states import TaskState


class ConductorRunCancel(Resource):
    @operation(
        summary="Cancel a conductor run",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={
            202: record(
                id=TEXT, name=TEXT, state=one_of(TaskState), cancel_requested_at=maybe(TIME)
            )
        },
        refusals=(ConductorRunUnknown, InvalidTransition),
    )
    def post(self, request: Request, conductor_run_id: str) -> Response:
        """Cancel its open tasks. No task of it is given out any more; the run ends soon after."""
        # First: a run that the caller doesn't see is a 404, whatever the body.
        run_id = reading.find_run(conductor_run_id, actor=self.actor).pk
        run = run_cancel.cancel_run(run_id, actor=self.actor, reason=self.body()["reason"])
        return Response(
            {
                "id": run.pk,
                "name": run.name,
                "state": run.state,
                "cancel_requested_at": run.cancel_requested_at,
            },
            status=202,
        )
