"""``/autonomy/actions``: list, read, revert."""

from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from advisory.autonomy import revert as reverting
from advisory.autonomy.revert import ActionUnknown, AlreadyReverted, AutonomyOff, EditedSince
from advisory.models import AutonomyAction
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel.reasons import ReasonInvalid
from governance.rest import pages, parsing, queries
from governance.rest.fields import Fields, field, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import FREE, TEXT, TIME, WHOLE, maybe
from governance.rest.schemas import UUID as ID
from orbit.errors import DocumentInvalid

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "profile_id": queries.text,
    "policy": queries.text,
}
ACTION = Fields(
    "AutonomyAction",
    id=field(ID, "pk"),
    policy=TEXT,
    document=FREE,
    profile_id=TEXT,
    run_profile_id=maybe(TEXT),
    namespace=TEXT,
    signal_id=ID,
    base_revision=WHOLE,
    made_revision=WHOLE,
    reason=TEXT,
    acted_at=TIME,
    reverted_at=maybe(TIME),
    reverted_by=TEXT,
    reverted_revision=maybe(WHOLE),
)


class AutonomyActionList(Resource):
    @operation(
        summary="List autonomy's actions",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(ACTION)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. `document` is the policy as it was."""
        rows = _visible(self.actor).filter(**queries.filters(self.query, _FILTERS))
        return pages.respond(request, rows, ACTION.of, query=self.query)


class AutonomyActionDetail(Resource):
    @operation(
        summary="Get an action of autonomy",
        answers={200: ACTION},
        refusals=(ActionUnknown,),
    )
    def get(self, request: Request, action_id: UUID) -> Response:
        """A change that a written policy made."""
        return Response(ACTION.of(_find(action_id, self.actor)))


class AutonomyActionRevert(Resource):
    @operation(
        summary="Revert an action of autonomy",
        scope=Scope.CONFIGURE,
        body=parsing.WITH_REASON,
        answers={200: ACTION},
        refusals=(
            ActionUnknown,
            AlreadyReverted,
            EditedSince,
            AutonomyOff,
            DocumentInvalid,
            ReasonInvalid,
        ),
    )
    def post(self, request: Request, action_id: UUID) -> Response:
        """Save the revision before it again, unless the document was edited since."""
        _find(action_id, self.actor)
        action = reverting.revert(action_id, actor=self.actor, reason=self.body()["reason"])
        if action is None:
            raise AutonomyOff
        return Response(ACTION.of(action))


def _visible(actor: Actor) -> "QuerySet[AutonomyAction]":
    return AutonomyAction.objects.filter(actor.filter())


def _find(action_id: UUID, actor: Actor) -> AutonomyAction:
    action = _visible(actor).filter(pk=action_id).first()
    if action is None:
        raise ActionUnknown(f"There is no action {action_id} of autonomy.")
    return action
