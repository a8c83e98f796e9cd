"""A simulated run of a script, ingested as any file. Its events stay, in their own namespace."""

import hashlib
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.kernel import clock
from governance.kernel.identifiers import uuid7_text
from telemetry.client import files
from telemetry.events import SELFCHECK_NAMESPACE, Level, Name
from telemetry.ingest import file
from telemetry.ingest.stream import Report
from telemetry.models import ErrorGroup

TASK, STAGE = "selfcheck", "selfcheck"
MESSAGE = "selfcheck: a simulated error; nothing is wrong"
ERRORS = 50
_CONTENT = b"<testsuite tests='1'/>\n"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was sent, and how it was taken."""

    session: str
    ingest_session: str
    path: str
    size: int
    sha256: str
    report: Report
    #: Errors that the group of the day had counted before.
    counted_before: int


def errors_counted() -> int:
    """Return how many simulated errors the groups have counted."""
    groups = ErrorGroup.objects.filter(namespace=SELFCHECK_NAMESPACE, message=MESSAGE, stage=STAGE)
    return sum(groups.values_list("count", flat=True))


def simulate() -> Simulation:
    """Ingest the run of a script that writes a file, fails 50 times alike and breaks a policy."""
    session, counted = f"selfcheck-{uuid7_text()}", errors_counted()
    with tempfile.TemporaryDirectory(prefix="orbit-selfcheck-") as folder:
        path = Path(folder) / "junit.xml"
        path.write_bytes(_CONTENT)
        facts = files.facts(path)
    report = Report()
    lines = b"".join(_line(session, name, **columns) for name, columns in _events(facts))
    ingest_session = file.ingest(file.Source(io.BytesIO(lines)), title="selfcheck", report=report)
    return Simulation(
        session=session,
        ingest_session=ingest_session,
        path="junit.xml",
        size=len(_CONTENT),
        sha256=hashlib.sha256(_CONTENT).hexdigest(),
        report=report,
        counted_before=counted,
    )


def _events(facts: files.Facts) -> list[tuple[Name, dict[str, Any]]]:
    start = {
        "title": "Selfcheck",
        "provider_type": "Microsoft",
        "provider_cache_hit": True,
        "artifacts_declared": ["junit.xml"],
    }
    artifact = {"path_name": "junit.xml", "size": facts.size, "sha256": facts.sha256}
    violation = {"file": "junit.xml", "policy": "selfcheck", "rule": "none", "severity": "info"}
    error = {"stage": STAGE, "level": Level.ERROR, "metadata": {"message": MESSAGE}}
    return [
        (Name.COMMAND_START, {}),
        (Name.TASK_START, {"task_id": TASK, "metadata": start}),
        (Name.ARTIFACT_EMIT, {"task_id": TASK, "metadata": artifact}),
        *[(Name.ERROR, error)] * ERRORS,
        (Name.POLICY_VIOLATION, {"metadata": violation}),
        (Name.TASK_END, {"task_id": TASK, "duration_ms": 1, "metadata": {"success": True}}),
        (Name.COMMAND_END, {"duration_ms": 1}),
    ]


def _line(session: str, name: str, **columns: Any) -> bytes:
    event = {
        "id": uuid7_text(),
        "name": name,
        "occurred_at": clock.now().isoformat(),
        "session_id": session,
        "namespace": SELFCHECK_NAMESPACE,
        **columns,
    }
    return json.dumps(event).encode() + b"\n"
