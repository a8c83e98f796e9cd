"""``POST /cycles/trigger/batch``: outcomes, not refusals."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.kernel import json_text
from governance.rest import idempotency, parsing
from governance.rest.fields import Fields, field, optional
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, many, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.api import trigger
from orbit.api.orchestrate import SECONDS, StillStarting
from orbit.cycles import trigger_batch
from orbit.cycles.orchestrate import OUTCOMES, Call, Unfinished
from orbit.cycles.trigger_batch import MOST, BatchTrigger
from orbit.states import Trigger
from orbit.tracing import ids

ROUTE = "cycles.trigger.batch"
ACCEPTED = 202


def _text(name: str) -> Any:
    return optional(field(TEXT, lambda outcome: getattr(outcome, name) or None))


_OUTCOME = Fields(
    "BatchOutcome",
    outcome=one_of(OUTCOMES),
    cycle_run_id=optional(field(ID, "cycle_run_id")),
    namespace=_text("namespace"),
    code=_text("code"),
    detail=_text("detail"),
)


class CycleTriggerBatch(Resource):
    @operation(
        summary="Trigger many cycles",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {
                "triggers": {
                    "type": "array",
                    "items": parsing.closed_object(trigger.MEMBERS),
                    "minItems": 1,
                    "maxItems": MOST,
                },
                "reason": parsing.REASON,
            },
            required=("triggers",),
        ),
        headers={"Idempotency-Key": idempotency.HEADER, "traceparent": trigger.TRACEPARENT},
        answers={ACCEPTED: record(results=many(_OUTCOME.schema))},
        refusals=(
            StillStarting,
            NamespaceUnknown,
            idempotency.KeyInvalid,
            idempotency.KeyReused,
        ),
    )
    def post(self, request: Request) -> Response:
        """Start or queue a cycle for each of up to 1,000 triggers; the results are in their order.

        The first trigger of a namespace starts and the others queue behind it; where another cycle
        is active, they are skipped. A hundred triggers are one transaction. The same
        Idempotency-Key returns the first answer.
        """
        body, raw = self.body(), parsing.raw_body(request)
        texts = json_text.items(json_text.member(raw, "triggers"))
        triggers = [
            BatchTrigger(
                each.get("namespace"),
                each.get("run_profile_id"),
                trigger.payload_of(each, text, at=f"/triggers/{place}"),
            )
            for place, (each, text) in enumerate(zip(body["triggers"], texts, strict=True))
        ]
        key = idempotency.key_of(request, route=ROUTE, body=raw)

        def run(call: UUID | None) -> dict[str, Any]:
            this_call = Call(call, seconds=SECONDS)
            if key is not None and call is not None:
                this_call = replace(
                    this_call,
                    may_go_on=partial(key.hold, call),
                    kept=partial(key.kept, call),
                    keep=partial(key.keep, call),
                )
            outcomes = trigger_batch.start(
                triggers,
                source=Trigger.REST,
                actor=self.actor,
                reason=body.get("reason", ""),
                traceparent=ids.accepted(request.headers.get("traceparent")),
                call=this_call,
            )
            return {"results": [_OUTCOME.of(outcome) for outcome in outcomes]}

        try:
            answer = idempotency.get_or_continue(
                key,
                run,
                status=ACCEPTED,
                ensure_visible=lambda stored: _ensure_visible(stored, self.actor),
            )
        except Unfinished:
            raise StillStarting from None
        return Response(answer, status=ACCEPTED)


def _ensure_visible(stored: Mapping[str, Any], actor: Actor) -> None:
    """Refuse a stored answer about a namespace that ``actor`` doesn't see any more."""
    for namespace in {each["namespace"] for each in stored["results"] if "namespace" in each}:
        actor.require_namespace(namespace)
