"""A cycle's page: verdict and facts, and one of its tabs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from governance.access.actors import Actor
from governance.kernel import clock
from orbit import seen
from orbit.cycles import detail, listing, overview, provenance, recent, tabs, timeline
from orbit.cycles.overview import Overview
from orbit.cycles.recent import Before
from orbit.cycles.tabs import Filter, Show
from orbit.models import CycleRun
from orbit.seen import Seen
from orbit.states import Cycle, SeenKind

_MOST_ENDPOINTS = 3
#: Tabs that show all of a cycle.
_WHOLE = ("leases", "context")
_TROUBLED = (Cycle.FAILED, Cycle.PARTIAL_SUCCESS)


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of the page."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class CyclePage:
    """What the page shows."""

    cycle: CycleRun
    overview: Overview
    now: datetime
    seconds: float | None
    before: Before
    seen: Seen | None
    records: int
    chosen: Filter
    level: str
    tab: str
    #: What is in the tab.
    content: Any
    #: Where deliveries are dead, for users who see endpoints.
    dead_at: Sequence[str]
    #: What ``level`` can be.
    levels: Sequence[str] = tabs.LEVELS

    @property
    def title(self) -> str:
        """The run profile and the time in the reader's zone."""
        at = timezone.localtime(self.cycle.created_at)
        return f"{self.cycle.run_profile_id or 'Raw cycle'}, {at:%d %b %H:%M %Z}"

    @property
    def is_troubled(self) -> bool:
        """Whether it needs a look."""
        return self.cycle.status in _TROUBLED

    @property
    def is_filtered(self) -> bool:
        """Whether the filter rules the tab."""
        return self.tab not in _WHOLE

    @property
    def tabs(self) -> list[Tab]:
        """The tabs, in order."""
        deliveries = self.overview.deliveries
        more = "+" if self.records == tabs.MOST_COUNTED else ""
        counts = {
            "deliveries": f" {deliveries.delivered}/{deliveries.total}" if deliveries.total else "",
            "records": f" {self.records}{more}",
        }
        return [Tab(name, title + counts.get(name, "")) for name, (title, _) in _TABS.items()]

    @property
    def compare_with(self) -> UUID | None:
        """The cycle that it repeats, else its newest re-run, else the last success."""
        reruns = self.overview.reruns
        return self.cycle.rerun_of_id or (reruns[-1].pk if reruns else self.before.last_success)


@dataclass(frozen=True, slots=True)
class _Request:
    overview: Overview
    chosen: Filter
    level: str
    after: UUID | None
    node: str
    now: datetime

    @property
    def cycle(self) -> CycleRun:
        return self.overview.cycle


def read(cycle_id: UUID, query: Mapping[str, str], *, actor: Actor) -> CyclePage:
    """Read the page as its address says: at most 25 queries. Raises CycleUnknown.

    ``query``: ``tab``, the filter ``show`` and ``endpoint``, ``level``, ``after`` of a page, and
    ``node``, what the provenance shows in detail.
    """
    cycle, now = detail.cycle(cycle_id, actor=actor), clock.now()
    show, level = query.get("show", ""), query.get("level", "")
    overview_ = overview.read(cycle, now=now)
    request = _Request(
        overview=overview_,
        chosen=Filter(
            Show(show) if show in set(Show) else Show.ALL, query.get("endpoint", "")[:100]
        ),
        level=level if level in tabs.LEVELS else "",
        after=_uuid(query.get("after", "")),
        node=query.get("node", ""),
        now=now,
    )
    tab = query.get("tab", "")
    tab = tab if tab in _TABS else next(iter(_TABS))
    return CyclePage(
        cycle=cycle,
        overview=overview_,
        now=now,
        seconds=listing.duration(cycle, now=now),
        before=recent.before(cycle, actor=actor),
        seen=seen.of(SeenKind.CYCLE, [str(cycle.pk)]).get(str(cycle.pk)),
        records=tabs.count_records(cycle),
        chosen=request.chosen,
        level=request.level,
        tab=tab,
        content=_TABS[tab][1](request),
        dead_at=_dead_at(overview_) if actor.namespaces is None else (),
    )


_TABS: dict[str, tuple[str, Callable[[_Request], Any]]] = {
    "timeline": (
        "Timeline",
        lambda request: timeline.read(request.overview, request.chosen, now=request.now),
    ),
    "provenance": (
        "Provenance",
        lambda request: provenance.read(request.overview, request.chosen, request.node),
    ),
    "deliveries": (
        "Deliveries",
        lambda request: tabs.deliveries(request.cycle, request.chosen, after=request.after),
    ),
    "records": (
        "Records",
        lambda request: tabs.records(
            request.cycle, request.chosen, level=request.level, after=request.after
        ),
    ),
    "leases": ("Checkpoints and leases", lambda request: tabs.leases(request.cycle)),
    "context": (
        "Context",
        lambda request: {
            "input": detail.input_of(request.cycle),
            "revisions": tabs.revisions(request.cycle),
        },
    ),
}


def _dead_at(overview_: Overview) -> list[str]:
    return sorted({dead.endpoint_key for dead in overview_.dead})[:_MOST_ENDPOINTS]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
