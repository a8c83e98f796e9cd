"""``POST /telemetry/events``."""

from collections.abc import Iterator
from typing import Any

from django.db import ProgrammingError
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.kernel import clock
from governance.kernel.errors import Kind, OrbitError
from governance.rest import parsing
from governance.rest.parsing import BodyTooLarge
from governance.rest.problem import UploadTypeRefused
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, WHOLE, many, one_of, record
from telemetry.ingest import limits, schema_gate, stream, unpacking
from telemetry.ingest.schema_gate import SchemaMissing
from telemetry.ingest.shape import Sender
from telemetry.ingest.times import Window
from telemetry.ingest.unpacking import TooMuch, Unreadable
from telemetry.ingest.verdicts import Code

ACCEPTED = 202
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_MEDIA_TYPES = ("application/json", *_LINES)
_GZIP = {"gzip", "x-gzip"}
#: Any object here: an event that isn't one gets a verdict of its own.
_EVENT = {"type": "object", "description": "an event; docs/telemetry.md has its fields"}
_NDJSON = {"type": "string", "description": "an event in each line"}
_REPORT = record(
    "IngestReport",
    accepted=WHOLE,
    duplicate=WHOLE,
    rejected=many(record(index=WHOLE, code=one_of(Code), detail=TEXT)),
    rejected_count=WHOLE,
)


class EventsUnreadable(OrbitError):
    """The body holds neither a JSON array nor objects."""

    code, kind = "malformed_json", Kind.MALFORMED


class TelemetryEventIngest(Resource):
    @operation(
        summary="Report events",
        scope=Scope.OPERATE,
        uploads={
            "application/json": {"anyOf": [{"type": "array", "items": {}}, _EVENT]},
            **dict.fromkeys(_LINES, _NDJSON),
        },
        answers={ACCEPTED: _REPORT},
        refusals=(EventsUnreadable, SchemaMissing),
    )
    def post(self, request: Request) -> Response:
        """Store events of scripts, commands and CI jobs; each one has its own verdict.

        Send a JSON array, one object, or NDJSON, at most 16 MiB; `Content-Encoding: gzip` is
        accepted. `rejected` lists the first 1,000 rejected events by their place in the body,
        `rejected_count` counts them all. An event with the same `id` and `occurred_at` is a
        duplicate, so sending a body again is safe, with or without an Idempotency-Key, which is
        ignored.
        """
        body = parsing.upload(request, media_types=_MEDIA_TYPES, limit=limits.LARGEST_REQUEST)
        is_lines = parsing.media_type(request) in _LINES
        chunks = _readable(body, parsing.encoding(request), is_lines=is_lines)
        schema_gate.check()
        sender = Sender(Window.at(clock.now()), self.actor.namespaces)
        try:
            report = stream.receive(
                chunks,
                sender=sender,
                is_lines=is_lines,
                most_events=limits.MOST_EVENTS,
            )
        except ProgrammingError as error:
            if not schema_gate.is_missing(error):
                raise
            raise schema_gate.refusal("A table disappeared meanwhile.") from error
        return Response(report.to_dict(), status=ACCEPTED)


def _readable(body: bytes, encoding: str, *, is_lines: bool) -> Iterator[bytes]:
    """Return the unpacked body in chunks. Raises what refuses the whole of it."""
    if encoding in _GZIP:
        _check_unpacked_size(body)
    elif unpacking.is_gzip(body):
        raise EventsUnreadable("This is gzip. Send it with Content-Encoding: gzip.")
    elif encoding:
        raise UploadTypeRefused("as it is, or with Content-Encoding: gzip")
    try:
        first = next((chunk for chunk in _text(body, encoding) if chunk.strip()), b"").lstrip()
    except Unreadable as error:
        raise EventsUnreadable(f"{error}.") from None
    if not first:
        raise EventsUnreadable("The body is empty. Send a JSON array, an object or NDJSON.")
    if not is_lines and first[:1] not in b"[{":
        raise EventsUnreadable("The body must begin with '[' (an array) or '{' (an object).")
    return _text(body, encoding)


def _text(body: bytes, encoding: str) -> Iterator[bytes]:
    chunks: Any = _chunks(body)
    return unpacking.text(unpacking.gunzip(chunks) if encoding else chunks)


def _chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + unpacking.CHUNK] for start in range(0, len(body), unpacking.CHUNK))


def _check_unpacked_size(body: bytes) -> None:
    """Raise BodyTooLarge before anything of a bomb is stored."""
    try:
        for _ in unpacking.gunzip(_chunks(body), most=limits.LARGEST_UNPACKED):
            pass
    except TooMuch as error:
        raise BodyTooLarge(f"{error}.") from None
    except Unreadable:
        pass  # what comes before the break is stored
