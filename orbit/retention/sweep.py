"""Prune all that finished long ago, batch by batch: for the daily operation run and the command."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from governance.kernel import clock, sql
from orbit.retention import cycles, months, runs, ticks, unused
from orbit.retention.batch import Batch, Preview

SET_MARK = sql.load(__name__, "set_mark")
RETENTION_LAG = sql.load(__name__, "retention_lag", ended_months=months.ENDED_MONTHS)

#: A kind of rows: prunes its next batch from a place on, and where the first one begins.
_Kind = tuple[Callable[[str, tuple[str, ...], Preview | None], Batch], tuple[str, ...]]
#: In this order: a month goes after the last of its cycles.
KINDS: dict[str, _Kind] = {
    "cycles": (cycles.prune_cycles, cycles.START),
    "unused": (unused.prune_left, unused.START),
    "cron_ticks": (ticks.prune_ticks, cycles.START),
    "skip_notices": (ticks.prune_notices, ticks.START_OF_NOTICES),
    "conductor_runs": (runs.prune_runs, runs.START),
    "months": (months.drop_months, ()),
}
_NAMES = tuple(KINDS)


def _until() -> str:
    return (clock.now() - timedelta(days=settings.ORBIT_RETENTION_DAYS)).isoformat()


#: A daily prune that was missed twice. Longer than that, an operator should look.
LAG_TOLERATED_SECONDS = 2 * 86_400.0


def lag_seconds() -> float:
    """Return for how long something has been due that no prune has looked at."""
    row = RETENTION_LAG.one(days=settings.ORBIT_RETENTION_DAYS)
    return 0.0 if row is None else float(row[0])


@dataclass(slots=True)
class Sweep:
    """What a prune has done so far. Plain values, so that it can be kept as JSON."""

    #: What finished until then goes.
    until: str = field(default_factory=_until)
    phase: int = 0
    #: Where the next batch of the phase begins.
    after: list[str] | None = None
    #: Rows by table.
    deleted: dict[str, int] = field(default_factory=dict)
    #: By table, then by reason.
    kept: dict[str, dict[str, int]] = field(default_factory=dict)
    #: By table, the earliest and the latest finish of what went.
    finished: dict[str, list[str]] = field(default_factory=dict)

    def advance(self, preview: Preview | None = None) -> str | None:
        """Do the next batch; return what it was about, or None at the end.

        A ``preview`` rolls it back. Pass the same to each batch.
        """
        if self.phase >= len(_NAMES):
            return None
        name = _NAMES[self.phase]
        prune, start = KINDS[name]
        batch = prune(self.until, tuple(self.after or start), preview)
        self._add(name, batch)
        if batch.after is not None:
            self.after = list(batch.after)
            return name
        if preview is None:
            SET_MARK.execute(kind=name, until=self.until)
        self.phase, self.after = self.phase + 1, None
        return name

    @property
    def total(self) -> int:
        """How many rows were deleted, of all tables."""
        return sum(self.deleted.values())

    def to_json(self) -> dict[str, Any]:
        """Return the record of the prune."""
        return {
            "finished_until": self.until,
            "deleted": self.deleted,
            "kept": self.kept,
            "finished": self.finished,
        }

    def _add(self, name: str, batch: Batch) -> None:
        self.deleted = dict(Counter(self.deleted) + batch.deleted)
        if batch.kept:
            self.kept[name] = dict(Counter(self.kept.get(name, {})) + batch.kept)
        if batch.first is not None and batch.last is not None:
            times = [batch.first.isoformat(), batch.last.isoformat(), *self.finished.get(name, [])]
            self.finished[name] = [min(times), max(times)]


def dry_run() -> Sweep:
    """Find out what would go: the same batches, each of them rolled back."""
    sweep, preview = Sweep(), Preview()
    while sweep.advance(preview):
        pass
    return sweep


def to_state(sweep: Sweep) -> dict[str, Any]:
    """Return ``sweep`` for the progress of a run."""
    return asdict(sweep)
