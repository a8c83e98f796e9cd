"""Which sessions didn't report what a session has to report.

A session is a run of a script: all events with its id, on however many days. It has to report
``task_start``, a ``task_end`` for each task that it started, and ``command_end``; and should report
an ``artifact_emit`` for each artifact that a ``task_start`` declared (``artifacts_declared``: the
names of the paths, or how many). Of a command of Orbit's own only ``command_end`` is required.

Counted from the events by set, each time: there is no state that could be wrong.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from governance.kernel import clock
from telemetry import database
from telemetry.events import CONDUCTOR_STAGE, INGEST_SESSION, OWN_SESSIONS, SELFCHECK_NAMESPACE

#: The required events, in the order of the grid.
CORE = ("task_start", "task_end", "command_end")
#: Overall fails with more sessions with gaps than this.
MAX_GAPS = 2
#: A session in a range of time is judged by its events up to so many days before and after it.
REACH_DAYS = 7
#: Names of artifacts and tasks that are listed for a session; the others are counted.
LISTED = 100
_PER_PAGE = 100
#: Ranges of the page, by their days; 0 is all.
_RANGES = {1: "24 hours", 7: "7 days", 30: "30 days", 0: "all stored events"}

COVERAGE = database.load(
    __name__,
    "coverage",
    reach=REACH_DAYS,
    listed=LISTED,
    own=OWN_SESSIONS,
    ingest_session=INGEST_SESSION,
    conductor=CONDUCTOR_STAGE,
)


class Status(StrEnum):
    """How complete a session is; in the order of the statement's ranks."""

    FAIL = "FAIL"
    WARN = "WARN"
    PASS = "PASS"  # noqa: S105 - no password


class Code(StrEnum):
    """Why a session doesn't pass."""

    CORE_MISSING = "FAIL_CORE_MISSING"
    ARTIFACT_MISSING = "WARN_ARTIFACT_MISSING"


@dataclass(frozen=True, slots=True)
class SessionCoverage:
    """A session. ``open_tasks`` are started tasks without an end, at most 100."""

    session_id: str
    status: Status
    missing: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    missing_artifacts: int = 0
    open_tasks: list[str] = field(default_factory=list)

    @property
    def edge(self) -> "Edge":
        """Its place among all sessions."""
        return list(Status).index(self.status), self.session_id

    @property
    def cells(self) -> list[bool]:
        """For each core event whether it was reported."""
        return [name not in self.missing for name in CORE]

    @property
    def artifacts(self) -> list[str]:
        """The paths of missing artifacts, those that have a name."""
        prefix = "artifact_emit:"
        return [name.removeprefix(prefix) for name in self.missing if name.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Coverage:
    """All sessions in numbers, and a page of them."""

    overall: Status
    sessions_total: int
    sessions_with_gaps: int
    sessions_failed: int
    sessions: list[SessionCoverage]
    #: How many sessions come before the page.
    start: int

    @property
    def has_next(self) -> bool:
        """Whether sessions follow the page."""
        return self.start + len(self.sessions) < self.sessions_total

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.sessions_total:
            return "No session reported in this range."
        sessions = f"{self.sessions_total:,} session{'' if self.sessions_total == 1 else 's'}"
        if not self.sessions_with_gaps:
            return f"Pass: {sessions}, no gap."
        word = "Fail" if self.overall is Status.FAIL else "Warning"
        core = (
            f"{self.sessions_failed} of them didn't report a core event."
            if self.sessions_failed
            else "All core events are there."
        )
        has = "has" if self.sessions_with_gaps == 1 else "have"
        return f"{word}: {self.sessions_with_gaps} of {sessions} {has} gaps. {core}"


#: The rank and id of a session: where a page begins or ends.
Edge = tuple[int, str]


def scan(
    *,
    session: str | None = None,
    namespaces: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    edge: Edge | None = None,
    backwards: bool = False,
    size: int = 1000,
) -> Coverage:
    """Return the coverage of the sessions that have an event in the range, ``size`` after ``edge``.

    Sessions with gaps come first. ``namespaces`` None means all; else only their events are read.
    A ``session`` that is asked for and has sent none of these events misses all of them.
    """
    rows = COVERAGE.rows(
        session=session,
        namespaces=None if namespaces is None else sorted(namespaces),
        since=since,
        until=until,
        hidden=SELFCHECK_NAMESPACE,
        edge_rank=None if edge is None else edge[0],
        edge_session=None if edge is None else edge[1],
        backwards=backwards,
        size=size,
    )
    total, gaps, failed, start = rows[0][:4]
    if not total and session is not None:
        silent = SessionCoverage(session, Status.FAIL, list(CORE), [str(Code.CORE_MISSING)])
        return Coverage(Status.FAIL, 1, 1, 1, [silent], 0)
    return Coverage(
        overall=_overall(gaps=gaps, failed=failed),
        sessions_total=total,
        sessions_with_gaps=gaps,
        sessions_failed=failed,
        sessions=[_session(*row[4:]) for row in rows if row[4] is not None],
        start=start,
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sessions as its address says."""

    result: Coverage
    session: str
    days: int

    @property
    def look(self) -> str:
        """The class of the verdict."""
        looks = {Status.PASS: "success", Status.WARN: "partial_success"}
        return looks.get(self.result.overall, "failed")

    @property
    def core(self) -> tuple[str, ...]:
        """The columns."""
        return CORE

    @property
    def ranges(self) -> Collection[tuple[int, str]]:
        """The ranges to choose from."""
        return _RANGES.items()

    @property
    def next(self) -> str:
        """Where the next page begins; empty if there is none."""
        rows = self.result.sessions
        return _text(rows[-1].edge) if rows and self.result.has_next else ""

    @property
    def previous(self) -> str:
        """Where the previous page ends; empty if there is none."""
        rows = self.result.sessions
        return _text(rows[0].edge) if rows and self.result.start else ""


def page(query: Mapping[str, str], *, namespaces: Collection[str] | None) -> Page:
    """Return the page that an address names by ``session`` or ``days``, ``edge`` and ``back``."""
    days = int(query["days"]) if query.get("days", "") in map(str, _RANGES) else 1
    session = query.get("session", "").strip()[:200]
    edge = _edge(query.get("edge", ""))
    result = scan(
        session=session or None,
        namespaces=namespaces,
        since=clock.now() - timedelta(days=days) if days and not session else None,
        edge=edge,
        backwards="back" in query and edge is not None,
        size=_PER_PAGE,
    )
    return Page(result, session, days)


def _text(edge: Edge) -> str:
    rank, session = edge
    return f"{rank}:{session}"


def _edge(text: str) -> Edge | None:
    rank, _, session = text.partition(":")
    return (int(rank), session) if rank in {"0", "1", "2"} and session else None


def _overall(*, gaps: int, failed: int) -> Status:
    if failed or gaps > MAX_GAPS:
        return Status.FAIL
    return Status.WARN if gaps else Status.PASS


def _session(
    session: str,
    rank: int,
    core: list[str],
    artifacts: list[str],
    missing_artifacts: int,
    open_tasks: list[str],
) -> SessionCoverage:
    codes = [
        *([Code.CORE_MISSING] if core else []),
        *([Code.ARTIFACT_MISSING] if artifacts else []),
    ]
    return SessionCoverage(
        session_id=session,
        status=list(Status)[rank],
        missing=core + artifacts,
        codes=[str(code) for code in codes],
        missing_artifacts=int(missing_artifacts),
        open_tasks=open_tasks,
    )
