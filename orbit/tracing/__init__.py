"""Traces by OpenTelemetry: a cycle is a trace; its stages, tiers and deliveries are spans.

On if OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra ``orbit[otel]`` is installed. Spans are made
of the events that the pipeline writes anyway, after the commit. Nothing here raises or waits.
"""
