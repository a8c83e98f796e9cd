"""``POST /run-profiles/trigger`` and ``/run-profiles/{id}/trigger``: outcomes instead of refusals."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

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
        call: dict[str, Any] = {
            "source": Trigger.REST,
            "actor": self.actor,
            "once": _once(request, ROUTE),
            "reason": sent.get("reason", ""),
        }
        named = sent.get("run_profile_ids")
        return _answer(
            orchestrate.all_enabled(**call)
            if named is None
            else orchestrate.selected(named, **call)
        )


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
        sent = self.document()
        once = _once(request, f"{ROUTE}:{run_profile_id}")
        return _answer(
            orchestrate.selected(
                [run_profile_id],
                source=Trigger.REST,
                actor=self.actor,
                once=once,
                reason=sent.get("reason", ""),
            )
        )


class _Once:
    """Answers the same request with the outcomes that it had."""

    def __init__(self, key: idempotency.Key) -> None:
        self._key = key

    def seen(self) -> list[ProfileOutcome] | None:
        answer = self._key.claim()
        return None if answer is None else [_outcome(one) for one in answer["results"]]

    def keep(self, started: list[ProfileOutcome]) -> None:
        self._key.keep(ACCEPTED, {"results": [orchestrate.to_dict(one) for one in started]})


def _once(request: Request, route: str) -> _Once | None:
    key = idempotency.of(request, route=route, body=parsing.raw_body(request))
    return None if key is None else _Once(key)


def _outcome(kept: dict[str, str]) -> ProfileOutcome:
    cycle_id = kept.get("cycle_run_id")
    return ProfileOutcome(
        kept["run_profile_id"],
        kept["outcome"],
        UUID(cycle_id) if cycle_id else None,
        kept.get("detail", ""),
    )


def _answer(outcomes: Sequence[ProfileOutcome]) -> Response:
    return Response({"results": [orchestrate.to_dict(one) for one in outcomes]}, status=ACCEPTED)
