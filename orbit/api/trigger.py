"""``POST /cycles/trigger``."""

import base64
import binascii
import json
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.namespaces import gate
from governance.rest import idempotency, parsing
from governance.rest.parsing import BodyInvalid
from governance.rest.resources import Resource
from governance.rest.schemas import TEXT, TRUTH, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.cycles import trigger
from orbit.cycles.trigger import Triggered
from orbit.errors import (
    CycleActive,
    Disabled,
    NamespaceMismatch,
    PayloadTooLarge,
    RunProfileUnknown,
)
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

ROUTE = "cycles.trigger"
ACCEPTED = 202
_BODY = parsing.closed_object(
    {
        "namespace": {"type": "string", "minLength": 1, "maxLength": 200},
        "run_profile_id": {"type": "string", "minLength": 1, "maxLength": 200},
        "payload": {},
        "payload_base64": {"type": "string"},
        "payload_content_type": {
            "type": "string",
            "pattern": r"^[!-~](?:[ -~]{0,198}[!-~])?$",
            "description": "a content type: 1 to 200 visible ASCII characters",
        },
    }
)


class TriggerCycle(Resource):
    """The start of a cycle."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _BODY}
    request_headers = {"POST": {"Idempotency-Key": idempotency.HEADER}}
    answers = {
        "POST": {
            ACCEPTED: record(cycle_run_id=ID, status=one_of(Cycle), namespace=TEXT, resumed=TRUTH)
        }
    }
    refusals = {
        "POST": (
            NamespaceUnknown,
            RunProfileUnknown,
            CycleActive,
            Disabled,
            NamespaceMismatch,
            PayloadTooLarge,
            *gate.REFUSALS,
            idempotency.KeyInvalid,
            idempotency.KeyReused,
        )
    }

    def post(self, request: Request) -> Response:
        """Start a cycle, once for each Idempotency-Key: 202 ``{cycle_run_id, status, namespace, resumed}``."""
        sent = self.document()
        payload = _payload(sent)

        def start() -> dict[str, Any]:
            started = trigger.start(
                namespace=sent.get("namespace"),
                source=Trigger.REST,
                actor=self.actor,
                run_profile_id=sent.get("run_profile_id"),
                payload=payload,
            )
            return _answer(started)

        key = idempotency.key_of(request, route=ROUTE, body=parsing.raw_body(request))
        answer = idempotency.get_or_run(key, start, status=ACCEPTED)
        return Response(answer, status=ACCEPTED)


def _answer(started: Triggered) -> dict[str, Any]:
    return {
        "cycle_run_id": str(started.cycle_id),
        "status": started.status,
        "namespace": started.namespace,
        "resumed": started.resumed,
    }


def _payload(sent: dict[str, Any]) -> Payload | None:
    """Return the payload as the bytes that will be delivered; JSON is encoded here, once. Raises BodyInvalid."""
    if "payload" in sent and "payload_base64" in sent:
        raise _invalid("/payload_base64", "Stands beside `payload`: send one of the two.")
    if "payload_content_type" in sent and "payload_base64" not in sent:
        raise _invalid(
            "/payload_content_type", "Belongs to `payload_base64`; a `payload` is application/json."
        )
    if "payload" in sent:
        return Payload(
            json.dumps(sent["payload"], ensure_ascii=False, separators=(",", ":")).encode(),
            "application/json",
        )
    if "payload_base64" not in sent:
        return None
    try:
        data = base64.b64decode(sent["payload_base64"], validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("/payload_base64", "Isn't base64 (RFC 4648, with padding).") from None
    return Payload(data, sent.get("payload_content_type", "application/octet-stream"))


def _invalid(pointer: str, detail: str) -> BodyInvalid:
    return BodyInvalid(detail, errors=[{"pointer": pointer, "detail": detail}])
