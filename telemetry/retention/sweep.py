"""Prune all days that are due, step by step: for the command, and for the daily operation run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection

from governance.kernel.errors import Kind, OrbitError
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome
from telemetry import database
from telemetry.retention import prune
from telemetry.retention.prune import State, Step

#: The type of the operation run.
TYPE = "ops.prune_telemetry"
#: A slice takes about so long, and one step more. In the pause the worker does other tasks.
SLICE_SECONDS, PAUSE_SECONDS = 1.0, 0.5
#: A run looks again so often whether what others hold is free, and ends after so many looks.
BUSY_SECONDS, MOST_LOOKS = 60.0, 240
#: A day that was begun so often gets events all the time, or its archive is damaged each time.
MOST_BEGUN = 5
KEEPS_CHANGING = "it gets events all the time"


class DaysLeft(OrbitError):
    """Days are left that should have been dropped."""

    code, kind = "days_left", Kind.CONFLICT


class DaysBusy(OrbitError):
    """Days are left whose events others hold. Run it again later."""

    code, kind = "days_busy", Kind.UNAVAILABLE


@dataclass(slots=True)
class Sweep:
    """What a prune has done so far. Its days are ISO texts, so that it can be kept as JSON."""

    dropped: list[str] = field(default_factory=list)
    #: For the next prune, with the reason.
    left: dict[str, str] = field(default_factory=dict)
    #: Held by others.
    busy: dict[str, str] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    readings: int = 0
    looks: int = 0
    #: The last thing that an operator should know.
    note: str = ""

    def due(self) -> list[date]:
        """Return the days that can be worked on."""
        return [
            day
            for day in prune.old_days()
            if str(day) not in self.left and str(day) not in self.busy
        ]

    def advance(self, beat: Callable[[], object] = lambda: None) -> Step | None:
        """Do the next step; return it, or None if no day is due."""
        due = self.due()
        if not due:
            return None
        day = str(due[0])
        step = prune.step(due[0], beat)
        if step.note:
            self.note = f"{day}: {step.note}"
        match step.state:
            case State.DROPPED:
                self.dropped.append(day)
            case State.BUSY:
                self.busy[day] = step.note
            case State.REFUSED:
                self.left[day] = step.note
            case State.BEGUN:
                self.begun[day] = self.begun.get(day, 0) + 1
                if self.begun[day] > MOST_BEGUN:
                    self.left[day] = KEEPS_CHANGING
        return step

    def look_again(self) -> bool:
        """Take what is busy as free again; False if it was looked at often enough."""
        if not self.busy or self.looks >= MOST_LOOKS:
            return False
        self.looks, self.busy = self.looks + 1, {}
        return True


def run_slice(slice_: Slice, beat: Callable[[], object] = lambda: None) -> datetime | None:
    """Do a second's work of the run. Return when the next slice is due, None at the end."""
    run, until = slice_.run, time.monotonic() + SLICE_SECONDS
    sweep = Sweep(**run.progress.get("sweep", {}))

    def touch() -> None:
        beat()
        if database.IS_SEPARATE:  # the main one ends a transaction that idles
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    while time.monotonic() < until:
        touch()
        step = sweep.advance(touch)
        if step is None:
            break
        if step.state is State.DROPPED:
            # The lock that stops readers and writers ends with this transaction.
            return ledger.save_progress(run, _progress(sweep), wait=PAUSE_SECONDS)
    else:
        return ledger.save_progress(run, _progress(sweep), wait=PAUSE_SECONDS)
    deleted = prune.prune_readings()
    sweep.readings += deleted
    if deleted:
        return ledger.save_progress(run, _progress(sweep), wait=PAUSE_SECONDS)
    busy = _progress(sweep)
    if sweep.look_again():
        return ledger.save_progress(run, {**busy, "sweep": asdict(sweep)}, wait=BUSY_SECONDS)
    ledger.complete(run, _outcome(sweep), ledger.counts_in(busy), progress=_without_sweep(busy))
    return None


def _progress(sweep: Sweep) -> dict[str, Any]:
    open_ = len(sweep.due())
    left = len(sweep.left) + len(sweep.busy)
    progress = {
        "total": len(sweep.dropped) + left + open_,
        "processed": len(sweep.dropped) + left,
        "succeeded": len(sweep.dropped),
        "failed": len(sweep.left),
        "skipped": len(sweep.busy),
        "deleted": sweep.readings,
        "sweep": asdict(sweep),
    }
    waiting = [f"{day}: {reason}" for day, reason in (sweep.left | sweep.busy).items()]
    note = "; ".join(waiting[:3]) or sweep.note
    return {**progress, "note": note} if note else progress


def _without_sweep(progress: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in progress.items() if key != "sweep"}


def _outcome(sweep: Sweep) -> Outcome:
    if not (sweep.left or sweep.busy):
        return Outcome.SUCCEEDED if sweep.dropped or sweep.readings else Outcome.SKIPPED
    if sweep.dropped:
        return Outcome.PARTIALLY_SUCCEEDED
    return Outcome.FAILED if sweep.left else Outcome.SKIPPED
