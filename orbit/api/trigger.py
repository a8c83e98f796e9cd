"""``POST /cycles/trigger``."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.kernel import json_text
from governance.namespaces import gate
from governance.rest import idempotency, parsing
from governance.rest.fields import Fields, field
from governance.rest.parsing import NAME, invalid
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TRUTH, Schema, one_of
from governance.rest.schemas import UUID as ID
from orbit.cycles import trigger
from orbit.errors import (
    CycleActive,
    Disabled,
    NamespaceMismatch,
    PayloadTooLarge,
    RunProfileUnknown,
)
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger
from orbit.tracing import ids

ROUTE = "cycles.trigger"
ACCEPTED = 202
#: The members of a trigger.
MEMBERS: dict[str, Schema] = {
    "namespace": NAME,
    "run_profile_id": NAME,
    "payload": {},
    "payload_base64": {"type": "string"},
    "payload_content_type": {
        "type": "string",
        "pattern": r"^[!-~](?:[ -~]{0,198}[!-~])?$",
        "description": "a content type: 1 to 200 visible ASCII characters",
    },
}
TRACEPARENT: Schema = {
    "type": "string",
    "description": "the span that the cycle's trace continues (W3C trace context); any other text "
    "is ignored",
}
_STARTED = Fields(
    cycle_run_id=field(ID, "cycle_id"), status=one_of(Cycle), namespace=TEXT, resumed=TRUTH
)


class CycleTrigger(Resource):
    @operation(
        summary="Trigger a cycle",
        scope=Scope.OPERATE,
        body=parsing.closed_object(MEMBERS),
        headers={"Idempotency-Key": idempotency.HEADER, "traceparent": TRACEPARENT},
        answers={ACCEPTED: _STARTED},
        refusals=(
            NamespaceUnknown,
            RunProfileUnknown,
            CycleActive,
            Disabled,
            NamespaceMismatch,
            PayloadTooLarge,
            *gate.REFUSALS,
            idempotency.KeyInvalid,
            idempotency.KeyReused,
        ),
    )
    def post(self, request: Request) -> Response:
        """Start a cycle for a run profile, or a raw one in a namespace.

        The cycle of an equal trigger is resumed if it is active. The same Idempotency-Key returns
        the first answer.
        """
        body = self.body()
        payload = payload_of(body, parsing.raw_body(request))
        ahead = trigger.read_ahead(body.get("run_profile_id"), actor=self.actor)

        def start() -> dict[str, Any]:
            started = trigger.start(
                namespace=body.get("namespace"),
                source=Trigger.REST,
                actor=self.actor,
                run_profile_id=body.get("run_profile_id"),
                payload=payload,
                ahead=ahead,
                traceparent=ids.accepted(request.headers.get("traceparent")),
            )
            return _STARTED.of(started)

        key = idempotency.key_of(request, route=ROUTE, body=parsing.raw_body(request))
        answer = idempotency.get_or_run(
            key,
            start,
            status=ACCEPTED,
            ensure_visible=lambda stored: self.actor.require_namespace(stored["namespace"]),
        )
        return Response(answer, status=ACCEPTED)


def payload_of(body: Mapping[str, Any], raw: bytes, *, at: str = "") -> Payload | None:
    """Return the payload of a trigger whose text is ``raw``. Raises BodyInvalid, below ``at``."""
    if "payload" in body and "payload_base64" in body:
        raise invalid(
            f"{at}/payload_base64", "Send either `payload` or `payload_base64`, not both."
        )
    if "payload_content_type" in body and "payload_base64" not in body:
        raise invalid(
            f"{at}/payload_content_type",
            "Send it with `payload_base64` only; a `payload` is application/json.",
        )
    if "payload" in body:
        # As it was sent: parsed and written again, 0.12345678901234567890 and -0 would be others.
        return Payload(json_text.member(raw, "payload"), "application/json")
    if "payload_base64" not in body:
        return None
    try:
        data = base64.b64decode(body["payload_base64"], validate=True)
    except (binascii.Error, ValueError):
        raise invalid(
            f"{at}/payload_base64", "This isn't base64 (RFC 4648, with padding)."
        ) from None
    return Payload(data, body.get("payload_content_type", "application/octet-stream"))
