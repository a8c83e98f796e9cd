"""The coverage page: a grid of sessions and the events that they had to report."""

from datetime import timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from governance.console import pages
from governance.console.base import actor_of
from governance.kernel import clock
from telemetry import coverage
from telemetry.coverage import CORE, Edge, SessionCoverage, Status

_PER_PAGE = 100
#: Ranges to choose from, by their days; 0 is all.
_RANGES = {1: "24 hours", 7: "7 days", 30: "30 days", 0: "all stored events"}


@pages.page("telemetry/coverage/", name="telemetry_coverage", title="Coverage")
def page(request: HttpRequest) -> HttpResponse:
    """Show the sessions of a range of time, those with gaps first."""
    query, namespaces = request.GET, actor_of(request).namespaces
    days = int(query["days"]) if query.get("days", "") in map(str, _RANGES) else 1
    session = query.get("session", "").strip()[:200]
    if namespace := query.get("namespace", ""):
        namespaces = frozenset({namespace} if actor_of(request).sees(namespace) else ())
    edge = _edge(query.get("edge", ""))
    result = coverage.scan(
        session=session or None,
        namespaces=namespaces,
        since=clock.now() - timedelta(days=days) if days and not session else None,
        edge=edge,
        backwards="back" in query and edge is not None,
        size=_PER_PAGE,
    )
    chosen = {"days": str(days), "session": session, "namespace": namespace}

    def link(item: SessionCoverage, **more: str) -> str:
        rank, name = item.edge
        values = {**chosen, "edge": f"{rank}:{name}", **more}
        return urlencode({name: value for name, value in values.items() if value})

    rows = result.sessions
    return pages.draw(
        request,
        "console/coverage.html",
        title="Coverage",
        result=result,
        look={Status.PASS: "success", Status.WARN: "partial_success"}.get(result.overall, "failed"),
        core=CORE,
        session=session,
        days=days,
        ranges=_RANGES.items(),
        namespace=namespace,
        next=link(rows[-1]) if rows and result.has_next else None,
        previous=link(rows[0], back="1") if rows and result.start else None,
    )


def _edge(text: str) -> Edge | None:
    rank, _, session = text.partition(":")
    return (int(rank), session) if rank in {"0", "1", "2"} and session else None
