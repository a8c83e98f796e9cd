"""Aggregate: count what changed, end parents and runs by it, cancel or retry what is under them.

A trigger writes tallies of each statement that changes tasks. A pass takes a bounded number of
tallies, adds them to their parents and runs, and ends what they decide, in one transaction. A
parent that ends leaves one for its own parent, which the next pass takes. So the cost follows
what changed, whatever the size of the run.

Lock order: run, parents, tasks. A run is a lock for all of its tallies: aggregators that meet at
one pass over it, and none waits for another. A killed one leaves its tallies to the others.
"""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from governance.kernel import sql
from orbit.conductor import cascade, retrying
from orbit.conductor.task_events import EVENTS
from orbit.states import TaskState

RUNS_WITH_TALLIES = sql.load(__name__, "runs_with_tallies")
ADD_TALLIES = sql.load(__name__, "add_tallies")
START_PARENTS = sql.load(__name__, "start_parents", events=EVENTS)
END_PARENTS = sql.load(__name__, "end_parents", events=EVENTS)
START_CANCELLING = sql.load(__name__, "start_cancelling")
MOVE_RUNS = sql.load(__name__, "move_runs")
WAITS = sql.fragment(__name__, "aggregate_waits")
HAS_WORK = sql.load(__name__, "aggregate_has_work", aggregate_waits=WAITS)

#: Of one pass: so many runs, and so many tallies of each.
RUNS, TALLIES = 20, 500
#: Runs that others hold are passed over, but not more than this in one pass.
CANDIDATES = 200
#: Passes of one call, so that it ends while tasks go on ending.
PASSES = 50


@dataclass(slots=True)
class Aggregated:
    """What a call did."""

    tallies: int = 0
    #: Parents that ended.
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    runs_ended: int = 0
    #: Tasks cancelled because of their parent or run.
    tasks_cancelled: int = 0
    #: Tasks retried with their parent.
    tasks_retried: int = 0
    #: There may be more to do at once.
    goes_on: bool = False

    @property
    def did_something(self) -> bool:
        """Whether it changed a count or a task."""
        return bool(self.tallies or self.tasks_cancelled or self.tasks_retried)


def run_aggregate_once(*, passes: int = PASSES) -> Aggregated:
    """Add up what changed, end parents and runs, and go on with what is cancelled or retried.

    Any number of calls may run at once. Levels roll up within one call.
    """
    done = Aggregated(goes_on=True)
    after, is_idle = "", True
    for _ in range(passes):
        before = done.tallies
        # From run to run, and then from the first one again: a busy run starves no other.
        after = _add_up(after, done)
        roots, children = cascade.cancel_batch_of_roots(), cascade.cancel_batch_of_children()
        done.tasks_cancelled += roots.tasks + children.tasks
        retried = retrying.retry_batch()
        done.tasks_retried += retried.tasks
        moved = roots.moved or children.moved or retried.moved
        is_idle = is_idle and done.tallies == before and not moved
        if not after:
            if is_idle:
                done.goes_on = False
                break
            is_idle = True
    return done


def run_to_end() -> Aggregated:
    """Repeat ``run_aggregate_once`` until nothing is left that it can do; return the sum."""
    total = Aggregated(goes_on=True)
    while total.goes_on:
        done = run_aggregate_once()
        for name in ("tallies", "succeeded", "failed", "cancelled", "runs_ended"):
            setattr(total, name, getattr(total, name) + getattr(done, name))
        total.tasks_cancelled += done.tasks_cancelled
        total.tasks_retried += done.tasks_retried
        total.goes_on = done.goes_on
    return total


def has_work() -> bool:
    """Return whether a call would find something. Costs a few probes of indexes."""
    row = HAS_WORK.one()
    return row is not None and bool(row[0])


def _add_up(after: str, done: Aggregated) -> str:
    """Add up tallies of the next runs; return the last of them, or "" if there are no more."""
    with transaction.atomic():
        locked = RUNS_WITH_TALLIES.rows(after=after, candidates=CANDIDATES, runs=RUNS)
        runs = [run_id for (run_id,) in locked]
        taken = ADD_TALLIES.rows(runs=runs, tallies=TALLIES) if runs else []
        if taken:
            done.tallies += sum(tallies for _, tallies in taken)
            _decide(runs, [parent for parent, _ in taken if parent], done)
    return runs[-1] if len(runs) == RUNS else ""


def _decide(runs: list[str], parents: list[str], done: Aggregated) -> None:
    # Statements of their own: each sees what the one before has written.
    if parents:
        START_PARENTS.send(parents=parents)
        ended: dict[Any, int] = dict(END_PARENTS.send(parents=parents))
        done.succeeded += ended.get(TaskState.SUCCEEDED, 0)
        done.failed += ended.get(TaskState.FAILED, 0)
        done.cancelled += ended.get(TaskState.CANCELLED, 0)
        START_CANCELLING.execute(parents=parents)
    row = MOVE_RUNS.one(runs=runs)
    done.runs_ended += row[0] if row else 0
