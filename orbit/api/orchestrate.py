"""``POST /run-profiles/trigger`` and ``/run-profiles/{id}/trigger``: outcomes instead of refusals."""

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import idempotency, parsing
from governance.rest.resources import Resource
from governance.rest.schemas import TEXT, many, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.cycles import orchestrate
from orbit.cycles.orchestrate import OUTCOMES, ProfileOutcome
from orbit.errors import RunProfileUnknown
from orbit.profiles import visible
from orbit.states import Trigger

ROUTE = "run-profiles.trigger"
ACCEPTED = 202
_NAME = {"type": "string", "minLength": 1, "maxLength": 100}
_ALL = parsing.closed_object(
    {
        "run_profile_ids": {"type": "array", "items": _NAME, "minItems": 1, "maxItems": 10_000},
        "reason": parsing.REASON,
    }
)
_ONE = parsing.closed_object({"reason": parsing.REASON})
_OUTCOMES = record(
    results=many(
        record(
            "TriggerOutcome",
            optional=("cycle_run_id", "detail"),
            run_profile_id=TEXT,
            outcome=one_of(OUTCOMES),
            cycle_run_id=ID,
            detail=TEXT,
        )
    )
)
_REFUSALS = (RunProfileUnknown, idempotency.KeyInvalid, idempotency.KeyReused)


class TriggerAll(Resource):
    """A cycle for every enabled run profile."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _ALL}
    request_headers = {"POST": {"Idempotency-Key": idempotency.HEADER}}
    answers = {"POST": {ACCEPTED: _OUTCOMES}}
    refusals = {"POST": _REFUSALS}

    def post(self, request: Request) -> Response:
        """Start or queue one for each, or for those named, once for each Idempotency-Key: 202 ``{results}`` with an outcome each."""
        sent = self.document()
        named, reason = sent.get("run_profile_ids"), sent.get("reason", "")

        def start() -> list[ProfileOutcome]:
            if named is None:
                return orchestrate.all_enabled(source=Trigger.REST, actor=self.actor, reason=reason)
            return orchestrate.selected(named, source=Trigger.REST, actor=self.actor, reason=reason)

        return _respond(request, ROUTE, start)


class TriggerOne(Resource):
    """A cycle for one run profile."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _ONE}
    request_headers = {"POST": {"Idempotency-Key": idempotency.HEADER}}
    answers = {"POST": {ACCEPTED: _OUTCOMES}}
    refusals = {"POST": _REFUSALS}

    def post(self, request: Request, run_profile_id: str) -> Response:
        """Start one, once for each Idempotency-Key: 202 ``{results}`` with its outcome."""
        if not visible.run_profiles(self.actor).filter(run_profile_id=run_profile_id).exists():
            raise RunProfileUnknown
        reason = self.document().get("reason", "")

        def start() -> list[ProfileOutcome]:
            return orchestrate.selected(
                [run_profile_id], source=Trigger.REST, actor=self.actor, reason=reason
            )

        return _respond(request, f"{ROUTE}:{run_profile_id}", start)


def _respond(request: Request, route: str, start: Callable[[], list[ProfileOutcome]]) -> Response:
    def run() -> dict[str, Any]:
        return {"results": [orchestrate.to_dict(outcome) for outcome in start()]}

    key = idempotency.key_of(request, route=route, body=parsing.raw_body(request))
    return Response(idempotency.get_or_run(key, run, status=ACCEPTED), status=ACCEPTED)
