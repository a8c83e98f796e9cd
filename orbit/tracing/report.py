"""The seam between pipeline and traces. Off, each call is one look at a setting."""

import atexit
import functools
import importlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import transaction

from governance.kernel import sql
from orbit.tracing import ids, spans
from orbit.tracing.ids import Key, Trace
from telemetry.emit import Event
from telemetry.events import Name

if TYPE_CHECKING:
    from orbit.tracing.exporter import Exporter

logger = logging.getLogger(__name__)

READ_CYCLE = sql.load(__name__, "read_cycle")
READ_STAGES = sql.load(__name__, "read_stages")
#: What an ending process waits for the collector.
STOP_SECONDS = 2.0
_COLUMNS = (
    "namespace", "profile_id", "run_profile_id", "trigger", "status", "reason", "rerun_of",
    "traceparent", "created_at", "started_at", "finished_at",
)  # fmt: skip
_lock = threading.Lock()


def header(cycle_id: UUID, traceparent: str | None, key: Key) -> str:
    """Return the ``traceparent`` of a request that the span ``key`` sends; "" if off."""
    exporter = _exporter()
    if exporter is None:
        return ""
    trace = ids.of_cycle(cycle_id, traceparent)
    return trace.header(key, sampled=exporter.is_sampled(trace))


def written(
    events: Sequence[Event],
    *,
    cycle_id: UUID,
    traceparent: str | None,
    namespace: str,
    profile_id: str | None,
) -> None:
    """Export the attempts among ``events``, and the cycle if they end it, after the commit."""
    if not events or _exporter() is None:
        return

    def export() -> None:
        exporter = _exporter()
        if exporter is None:
            return
        trace = ids.of_cycle(cycle_id, traceparent)
        attributes = _attributes(cycle_id, namespace, profile_id)
        for event in events:
            span = spans.of_event(event)
            if span is not None:
                exporter.export(trace, span, attributes)
        if any(event.name == Name.EXECUTION_FINISHED for event in events):
            _export_cycle(exporter, cycle_id)

    _after_commit(export)


def ended(cycle_id: UUID) -> None:
    """Export a cycle that was ended without an event, after the commit."""
    exporter = _exporter()
    if exporter is not None:
        _after_commit(lambda: _export_cycle(exporter, cycle_id))


def stop() -> None:
    """Send what is queued; this process is about to end."""
    with _lock:
        if not _exporter_of.cache_info().currsize:
            return
        exporter = _exporter_of(os.getpid())
        _exporter_of.cache_clear()
    if exporter is not None:
        exporter.stop(STOP_SECONDS)


def _after_commit(export: Callable[[], None]) -> None:
    def quietly() -> None:
        try:
            export()
        except Exception as error:
            # A trace is worth less than the cycle that it shows.
            logger.warning("A trace can't be exported: %s", " ".join(str(error).split()))

    transaction.on_commit(quietly)


def _export_cycle(exporter: "Exporter", cycle_id: UUID) -> None:
    row = READ_CYCLE.one(id=cycle_id)
    if row is None:
        return
    cycle = dict(zip(_COLUMNS, row, strict=True))
    trace: Trace = ids.of_cycle(cycle_id, cycle["traceparent"])
    attributes = _attributes(cycle_id, cycle["namespace"], cycle["profile_id"])
    for span in spans.of_cycle(cycle, READ_STAGES.rows(id=cycle_id)):
        exporter.export(trace, span, attributes)


def _attributes(cycle_id: UUID, namespace: str, profile_id: str | None) -> dict[str, str]:
    named = {"orbit.profile_id": profile_id} if profile_id else {}
    return {"orbit.cycle_id": str(cycle_id), "orbit.namespace": namespace, **named}


def _exporter() -> "Exporter | None":
    """Return this process's exporter, made at its first use; None if tracing is off."""
    if not settings.ORBIT_TRACING:
        return None
    with _lock:
        return _exporter_of(os.getpid())


# By pid, because the exporter's thread doesn't survive a fork.
@functools.cache
def _exporter_of(pid: int) -> "Exporter | None":
    try:
        # Here and by name: without tracing nothing of OpenTelemetry is loaded.
        exporter: Exporter = importlib.import_module("orbit.tracing.exporter").Exporter()
    except Exception as error:
        logger.warning(
            "Traces are off: OpenTelemetry can't start (%s: %s).", type(error).__name__, error
        )
        return None
    atexit.register(stop)
    return exporter
