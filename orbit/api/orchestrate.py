"""Trigger run profiles: outcomes, not refusals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel.errors import Kind, OrbitError
from governance.rest import idempotency, parsing
from governance.rest.fields import Fields, field, optional
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, many, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.cycles import orchestrate
from orbit.cycles.orchestrate import OUTCOMES, Call, ProfileOutcome, Unfinished
from orbit.errors import RunProfileUnknown
from orbit.profiles import visible
from orbit.states import Trigger

ROUTE = "run-profiles.trigger"
ACCEPTED = 202
_NAME = {"type": "string", "minLength": 1, "maxLength": 100}
_OUTCOME = Fields(
    "TriggerOutcome",
    run_profile_id=TEXT,
    outcome=one_of(OUTCOMES),
    cycle_run_id=optional(field(ID, "cycle_run_id")),
    detail=optional(field(TEXT, lambda outcome: outcome.detail or None)),
)
_OUTCOMES = record(results=many(_OUTCOME.schema))
#: Less than the time that the web server gives a request.
SECONDS = 20.0


class StillStarting(OrbitError):
    """Not all are started yet. Send the same request with the same Idempotency-Key to go on."""

    code, kind = "still_starting", Kind.UNAVAILABLE


_REFUSALS = (StillStarting, RunProfileUnknown, idempotency.KeyInvalid, idempotency.KeyReused)


class RunProfileTriggerAll(Resource):
    @operation(
        summary="Trigger run profiles",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {
                "run_profile_ids": {
                    "type": "array",
                    "items": _NAME,
                    "minItems": 1,
                    "maxItems": 10_000,
                },
                "reason": parsing.REASON,
            }
        ),
        headers={"Idempotency-Key": idempotency.HEADER},
        answers={ACCEPTED: _OUTCOMES},
        refusals=_REFUSALS,
    )
    def post(self, request: Request) -> Response:
        """Start or queue a cycle for each of `run_profile_ids`, or for all enabled ones.

        The same Idempotency-Key returns the first answer.
        """
        body = self.body()
        names, reason = body.get("run_profile_ids"), body.get("reason", "")

        def start(call: Call) -> list[ProfileOutcome]:
            if names is None:
                return orchestrate.all_enabled(
                    source=Trigger.REST, actor=self.actor, reason=reason, call=call
                )
            return orchestrate.selected(
                names, source=Trigger.REST, actor=self.actor, reason=reason, call=call
            )

        return _respond(request, ROUTE, start, self.actor)


class RunProfileTrigger(Resource):
    @operation(
        summary="Trigger a run profile",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"reason": parsing.REASON}),
        headers={"Idempotency-Key": idempotency.HEADER},
        answers={ACCEPTED: _OUTCOMES},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, run_profile_id: str) -> Response:
        """Start a cycle for it. The same Idempotency-Key returns the first answer."""
        if not visible.run_profiles(self.actor).filter(run_profile_id=run_profile_id).exists():
            raise RunProfileUnknown
        reason = self.body().get("reason", "")

        def start(call: Call) -> list[ProfileOutcome]:
            return orchestrate.selected(
                [run_profile_id], source=Trigger.REST, actor=self.actor, reason=reason, call=call
            )

        # The body doesn't name the run profile, so the key's route must.
        return _respond(request, f"{ROUTE}:{run_profile_id}", start, self.actor)


def _respond(
    request: Request, route: str, start: Callable[[Call], list[ProfileOutcome]], actor: Actor
) -> Response:
    key = idempotency.key_of(request, route=route, body=parsing.raw_body(request))

    def run(call: UUID | None) -> dict[str, Any]:
        this_call = Call(call, seconds=SECONDS)
        if key is not None and call is not None:
            this_call = replace(
                this_call, kept=partial(key.kept, call), keep=partial(key.keep, call)
            )
        outcomes = start(this_call)
        return {"results": [_OUTCOME.of(outcome) for outcome in outcomes]}

    try:
        answer = idempotency.get_or_continue(
            key,
            run,
            status=ACCEPTED,
            ensure_visible=lambda stored: _ensure_visible(stored["results"], actor),
        )
    except Unfinished:
        raise StillStarting from None
    return Response(answer, status=ACCEPTED)


def _ensure_visible(results: Iterable[Mapping[str, Any]], actor: Actor) -> None:
    """Refuse a stored answer about a namespace that ``actor`` doesn't see any more."""
    if orchestrate.all_visible(
        run_profile_ids=[result["run_profile_id"] for result in results],
        cycle_ids=[result["cycle_run_id"] for result in results if "cycle_run_id" in result],
        actor=actor,
    ):
        return
    raise RunProfileUnknown("You don't see all run profiles of this answer any more.")
