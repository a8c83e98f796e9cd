"""A loopback collector of OpenTelemetry: spans by OTLP over HTTP."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orbit.tracing import report
from tests.support.receiver import OK, Answer, Receiver


class Collector:
    """Decodes what a Receiver got."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    @property
    def requests(self) -> list[Any]:
        decoded = []
        for request in self.receiver.requests:
            assert request.line.startswith("POST /v1/traces "), request.line
            body = request.body
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            decoded.append(ExportTraceServiceRequest.FromString(body))
        return decoded

    def spans(self) -> list[Any]:
        """Return every span, the earliest first."""
        spans = [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(spans, key=lambda span: (span.start_time_unix_nano, -span.end_time_unix_nano))

    def services(self) -> set[str]:
        return {
            attribute.value.string_value
            for request in self.requests
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }

    def of_cycle(self, cycle_id: UUID) -> list[Any]:
        return [span for span in self.spans() if span.trace_id == cycle_id.bytes]


def attributes(span: Any) -> dict[str, Any]:
    return {
        item.key: getattr(item.value, str(item.value.WhichOneof("value")))
        for item in span.attributes
    }


@contextmanager
def collecting(
    settings: Any, monkeypatch: pytest.MonkeyPatch, *answers: Answer
) -> Iterator[Collector]:
    """Turn tracing on for this process, to a new collector."""
    with Receiver(*(answers or (OK,))) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        settings.ORBIT_TRACING = True
        try:
            yield Collector(receiver)
        finally:
            report.stop()
