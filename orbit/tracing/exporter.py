"""Exports spans by the SDK of OpenTelemetry, whose ``OTEL_*`` variables it obeys.

Imported only if tracing is on (``orbit.tracing.report``). The SDK's thread sends batches; its queue
is bounded, and drops spans if the collector can't keep up.
"""

import logging
import threading
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from orbit.tracing.ids import Trace
from orbit.tracing.spans import Span

_NANOSECONDS = 1_000_000_000
# It writes a malformed header, often a secret, to the log. The start names the variable instead.
logging.getLogger("opentelemetry.util.re").setLevel(logging.CRITICAL + 1)


class _DerivedIds(IdGenerator):
    """Gives the next span of this thread the ids that were set for it."""

    def __init__(self) -> None:
        self._next = threading.local()

    def set(self, trace_id: int, span_id: int) -> None:
        self._next.trace_id, self._next.span_id = trace_id, span_id

    def generate_span_id(self) -> int:
        return int(self._next.span_id)

    def generate_trace_id(self) -> int:
        return int(self._next.trace_id)


class Exporter:
    """The exporter of a process. Create it after the fork: it starts a thread."""

    def __init__(self) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "orbit"}))
        self._ids = _DerivedIds()
        self._provider = TracerProvider(
            id_generator=self._ids,
            resource=resource,
            # It would wait for a silent collector; ``stop`` has a limit.
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("orbit")

    def is_sampled(self, trace: Trace) -> bool:
        """Tell whether ``trace`` is kept: the caller decides, else the SDK's sampler."""
        if trace.sampled is not None:
            return trace.sampled
        # By the trace's id, so that all processes decide the same.
        decision = self._provider.sampler.should_sample(None, trace.id, "cycle").decision
        return bool(decision == Decision.RECORD_AND_SAMPLE)

    def export(self, trace: Trace, span: Span, attributes: Mapping[str, str]) -> None:
        """Queue ``span``, with ``attributes`` added."""
        self._ids.set(trace.id, trace.span_id(span.key))
        started = self._tracer.start_span(
            span.name,
            context=self._parent(trace, span),
            kind=SpanKind.CLIENT if span.is_request else SpanKind.INTERNAL,
            attributes={**attributes, **span.attributes},
            start_time=int(span.start * _NANOSECONDS),
        )
        if span.error is not None:
            started.set_status(Status(StatusCode.ERROR, span.error))
        started.end(int(max(span.start, span.end) * _NANOSECONDS))

    def _parent(self, trace: Trace, span: Span) -> Context:
        parent = trace.span_id(span.parent) if span.key else trace.caller
        if parent is None:
            return Context()
        flags = TraceFlags.SAMPLED if self.is_sampled(trace) else TraceFlags.DEFAULT
        context = SpanContext(trace.id, parent, is_remote=True, trace_flags=TraceFlags(flags))
        return set_span_in_context(NonRecordingSpan(context), Context())

    def stop(self, seconds: float) -> None:
        """Send what is queued, for at most ``seconds``."""
        thread = threading.Thread(target=self._provider.shutdown, name="otel-stop", daemon=True)
        thread.start()
        thread.join(seconds)
