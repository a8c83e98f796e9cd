"""``/dead-letters``: list, read, requeue."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from orbit.api import shapes
from orbit.dispatch import dead_letters
from orbit.errors import LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "status": queries.one_of(Letter),
    "endpoint_key": queries.text,
    "cycle_run_id": queries.identifier,
}
_COLUMNS = {"cycle_run_id": "cycle_id"}
_REQUEUE = parsing.closed_object(
    {"reason": parsing.REASON, "endpoint": {"enum": ["snapshot", "current"]}, "new_key": {"type": "boolean"}}, required=("reason",)
)


class Collection(Resource):
    """All of them, in pages."""

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        sent = queries.read(request, {**_FILTERS, **pages.PARAMETERS})
        rows = DeadLetterDispatch.objects.filter(self.actor.filter())
        rows = rows.filter(**{_COLUMNS.get(name, name): value for name, value in sent.items() if name in _FILTERS})
        return pages.respond(request, rows, shapes.dead_letter, sent=sent)


class One(Resource):
    """One delivery that was given up."""

    def get(self, request: Request, letter_id: UUID) -> Response:
        """Answer the dead letter."""
        queries.read(request, {})
        letter = DeadLetterDispatch.objects.filter(self.actor.filter(), pk=letter_id).first()
        if letter is None:
            raise LetterUnknown(f"There is no dead letter {letter_id}.")
        return Response(shapes.dead_letter(letter))


class Requeue(Resource):
    """Another try, by a person's decision."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, letter_id: UUID) -> Response:
        """Make a new job of it: 201 ``{dispatch_job_id}``, or 409."""
        if not DeadLetterDispatch.objects.filter(self.actor.filter(), pk=letter_id).exists():
            raise LetterUnknown(f"There is no dead letter {letter_id}.")
        sent: dict[str, Any] = parsing.document(request, _REQUEUE)
        job = dead_letters.requeue(
            letter_id, actor=self.actor, reason=sent["reason"], endpoint=sent.get("endpoint", "snapshot"), new_key=sent.get("new_key", False)
        )
        return Response({"dispatch_job_id": str(job)}, status=201)
