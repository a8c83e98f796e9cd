"""The built-in transformers and processor."""

import string
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from governance.kernel import schemas
from orbit.outbound import addresses, client
from orbit.pipeline.contract import (
    MAX_OUTPUT,
    Context,
    Payload,
    Processor,
    Transformer,
    TransformError,
)

_VARIABLES = ("payload", "namespace", "cycle_id", "tier")
_HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"
_HEADER_VALUE = "^[\\x21-\\x7e](?:[\\x20-\\x7e]{0,4094}[\\x21-\\x7e])?$"
_SET_BY_ORBIT = (
    "authorization",
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "cookie",
    "expect",
    "idempotency-key",
    "accept-encoding",
    "user-agent",
    "keep-alive",
)


def _passthrough(payload: Payload, context: Context) -> Payload:
    return payload


def _template(payload: Payload, context: Context) -> Payload:
    options = context.options
    template = string.Template(options["template"])
    try:
        text = payload.body.decode("utf-8")
    except UnicodeDecodeError:
        raise TransformError(
            "The input isn't UTF-8 text, so it can't go into a template.", retry=False
        ) from None
    # Check before building it: a template can name the payload thousands of times.
    names = [
        match["named"] or match["braced"] for match in template.pattern.finditer(template.template)
    ]
    if len(template.template.encode()) + names.count("payload") * len(payload.body) > MAX_OUTPUT:
        raise TransformError(f"The output would be longer than {MAX_OUTPUT} bytes.", retry=False)
    try:
        output = template.substitute(
            payload=text, namespace=context.namespace, cycle_id=context.cycle_id, tier=context.tier
        )
    except (KeyError, ValueError) as error:
        raise TransformError(f"The template can't be filled in: {error}.", retry=False) from None
    return Payload(output.encode("utf-8"), options.get("content_type", "text/plain; charset=utf-8"))


def _check_template(options: Mapping[str, Any]) -> list[dict[str, str]]:
    template = string.Template(options["template"])
    if not template.is_valid():
        return [
            {
                "pointer": "/template",
                "detail": "A $ is not followed by a name. Write $$ for a dollar sign.",
            }
        ]
    choices = ", ".join(f"${name}" for name in _VARIABLES)
    # Not get_identifiers(): it compares each name with each other one.
    names = dict.fromkeys(
        match["named"] or match["braced"] for match in template.pattern.finditer(template.template)
    )
    unknown = [name for name in names if name is not None and name not in _VARIABLES]
    return [
        {
            "pointer": "/template",
            "detail": f"${name} is unknown. Choose from: {choices}.",
        }
        for name in unknown[: schemas.MOST_LISTED]
    ]


def _http(payload: Payload, context: Context) -> Payload:
    options = context.options
    headers = {
        "Content-Type": payload.content_type,
        **options.get("headers", {}),
        "Idempotency-Key": context.transformation_id,
    }
    if context.traceparent:
        headers = client.with_default(headers, "traceparent", context.traceparent)
    answer = client.send(
        client.Request(
            method="POST",
            url=options["url"],
            headers=headers,
            body=payload.body,
            connect_timeout=min(5.0, context.timeout),
            read_timeout=context.timeout,
            total_timeout=context.timeout,
            ca_bundle=None,
        ),
        allowed=settings.ORBIT_DISPATCH_ALLOWED_HOSTS,
        keep=MAX_OUTPUT,
        limit=MAX_OUTPUT,
    )
    if answer.status is None:
        raise TransformError(
            f"No answer ({answer.error_class}): {answer.error}.",
            retry=answer.error_class != "refused",
        )
    if not 200 <= answer.status <= 299:
        raise TransformError(f"The answer was {answer.refusal}.", retry=answer.status != 410)
    if answer.body is None:
        raise TransformError(f"The answer's body can't be used: {answer.error}.")
    return Payload(answer.body, _content_type(answer.content_type))


def _content_type(received: str) -> str:
    printable = received.isascii() and received.isprintable() and len(received) <= 200
    return received if received and printable else "application/octet-stream"


def _check_http(options: Mapping[str, Any]) -> list[dict[str, str]]:
    problems = [
        {"pointer": f"/headers/{name}", "detail": "This header is set by Orbit."}
        for name in options.get("headers", {})
        if name.lower() in _SET_BY_ORBIT
    ]
    try:
        addresses.check_url(options["url"], settings.ORBIT_DISPATCH_ALLOWED_HOSTS)
    except addresses.Refused as error:
        problems.append({"pointer": "/url", "detail": error.detail})
    return problems


_CONTENT_TYPE = {
    "type": "string",
    "maxLength": 200,
    # Parts that can't match the same text: otherwise a long one is tried in quadratic time.
    "pattern": "^[!-.0-~]+/[!-:<-~]+(?:;[ -~]*)?$",
    "description": "a content type such as text/html; charset=utf-8",
}

PASSTHROUGH = Transformer(
    "passthrough", {"type": "object", "additionalProperties": False}, _passthrough, slow=False
)
TEMPLATE = Transformer(
    "template",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["template"],
        "properties": {
            "template": {"type": "string", "maxLength": 262144},
            "content_type": _CONTENT_TYPE,
        },
    },
    _template,
    slow=False,
    check=_check_template,
)
HTTP = Transformer(
    "http",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "maxLength": 4096},
            "headers": {
                "type": "object",
                "maxProperties": 50,
                "propertyNames": {"pattern": _HEADER_NAME, "description": "a header name"},
                "additionalProperties": {
                    "type": "string",
                    "pattern": _HEADER_VALUE,
                    "description": "visible ASCII, at most 4096 characters",
                },
            },
        },
    },
    _http,
    check=_check_http,
)
KEEP = Processor("passthrough", lambda payload: payload)
