"""The coverage page: a grid of sessions and the events that they had to report."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import clock
from telemetry import coverage
from telemetry.coverage import CORE, Coverage, Edge, SessionCoverage, Status

_PER_PAGE = 100
#: Ranges to choose from, by their days; 0 is all.
_RANGES = {1: "24 hours", 7: "7 days", 30: "30 days", 0: "all stored events"}
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A session as a row of the grid."""

    session_id: str
    status: str
    #: For each core event whether it was reported.
    cells: list[bool]
    open_tasks: list[str]
    open_more: int
    artifacts: list[str]
    artifacts_more: int
    events: str


@pages.page("telemetry/coverage/", name="telemetry_coverage", title="Coverage", group="Monitoring")
def page(request: HttpRequest) -> HttpResponse:
    """Show the sessions of a range of time, those with gaps first."""
    days = _days(request.GET.get("days", ""))
    session = request.GET.get("session", "").strip()[:200] or None
    edge = _edge(request.GET.get("edge", ""))
    result = coverage.scan(
        session=session,
        namespaces=actor_of(request).namespaces,
        since=clock.now() - timedelta(days=days) if days and session is None else None,
        edge=edge,
        backwards="back" in request.GET and edge is not None,
        size=_PER_PAGE,
    )
    return pages.draw(
        request,
        "console/coverage.html",
        title="Coverage",
        result=result,
        verdict=_verdict(result),
        look={Status.PASS: "success", Status.WARN: "partial_success"}.get(result.overall, "failed"),
        core=CORE,
        rows=[_row(item) for item in result.sessions],
        session=session or "",
        days=days,
        ranges=_RANGES.items(),
        first=result.start + 1,
        last=result.start + len(result.sessions),
        **_links(result, days=days, session=session),
    )


def _verdict(result: Coverage) -> str:
    if not result.sessions_total:
        return "No session reported in this range."
    if not result.sessions_with_gaps:
        return f"Pass: {_sessions(result.sessions_total)}, no gap."
    word = "Fail" if result.overall is Status.FAIL else "Warning"
    core = (
        f" {result.sessions_failed} of them didn't report a core event."
        if result.sessions_failed
        else " All core events are there."
    )
    return (
        f"{word}: {result.sessions_with_gaps} of {_sessions(result.sessions_total)}"
        f" {'has' if result.sessions_with_gaps == 1 else 'have'} gaps.{core}"
    )


def _sessions(number: int) -> str:
    return f"{number:,} session{'' if number == 1 else 's'}"


def _row(session: SessionCoverage) -> Row:
    paths = [
        name.removeprefix("artifact_emit:")
        for name in session.missing
        if name.startswith("artifact_emit:")
    ]
    return Row(
        session_id=session.session_id,
        status=str(session.status).lower(),
        cells=[name not in session.missing for name in CORE],
        open_tasks=[task or "a task without an id" for task in session.open_tasks[:_LISTED]],
        open_more=max(0, len(session.open_tasks) - _LISTED),
        artifacts=paths[:_LISTED],
        artifacts_more=session.missing_artifacts - len(paths[:_LISTED]),
        events=urlencode({"session_id__exact": session.session_id}),
    )


def _days(text: str) -> int:
    return int(text) if text in {str(days) for days in _RANGES} else 1


def _edge(text: str) -> Edge | None:
    rank, _, session = text.partition(":")
    return (int(rank), session) if rank in {"0", "1", "2"} and session else None


def _links(result: Coverage, *, days: int, session: str | None) -> dict[str, Any]:
    def link(item: SessionCoverage, **more: str) -> str:
        rank, name = item.edge
        chosen = {"days": days, **({"session": session} if session else {})}
        return urlencode({**chosen, "edge": f"{rank}:{name}", **more})

    if not result.sessions:
        return {"next": None, "previous": None}
    return {
        "next": link(result.sessions[-1]) if result.has_next else None,
        "previous": link(result.sessions[0], back="1") if result.start else None,
    }
