"""Fan-out: make the children of parents whose `input.fanout` is N.

A pass is one statement. It locks its parents and passes over those of others, so any number of
workers may run; children and their number are committed together, so a killed worker leaves a
parent as it was before the pass. A pass is bounded, and its parents share it: one that needs more
gets the rest by the next passes, in turn with those that came later. The parents of a halted
namespace cost nothing: the namespaces are looked up first.
"""

import json
from dataclasses import dataclass, field

from django.db import transaction

from governance.kernel import clock, sql, ulid
from governance.namespaces import gate
from orbit.conductor import inputs
from orbit.conductor.task_events import EVENTS

WAITING_NAMESPACES = sql.fragment(
    __name__, "waiting_namespaces", to_fan_out=sql.fragment(__name__, "to_fan_out")
)
_FAN_OUT = sql.load(
    __name__,
    "fan_out",
    waiting_namespaces=WAITING_NAMESPACES,
    to_fan_out=sql.fragment(__name__, "to_fan_out"),
    gate_lets_start=gate.STARTS,
    most_children=inputs.MOST_CHILDREN,
    alphabet=ulid.ALPHABET,
    events=EVENTS,
)
_START_BAD = sql.load(__name__, "start_bad_parents", events=EVENTS)
_FAIL_BAD = sql.load(__name__, "fail_bad_parents", events=EVENTS)
_IS_PENDING = sql.load(
    __name__,
    "fanout_is_pending",
    waiting_namespaces=WAITING_NAMESPACES,
    gate_lets_start=gate.STARTS,
)

#: Children of one pass.
MAX_FANOUT = 100_000
_MAX_PARENTS = 500
# The number in a child's id takes five characters.
_NUMBER_LENGTH = 5
_LARGEST_MAX_FANOUT = 32**_NUMBER_LENGTH - 1


@dataclass(frozen=True, slots=True)
class PartialFanout:
    """A parent that needs more passes."""

    task_id: str
    name: str
    children: int
    fanout: int


@dataclass(slots=True)
class FanoutPass:
    """What a pass did."""

    children: int = 0
    #: Parents that have all their children now.
    completed: int = 0
    partial: list[PartialFanout] = field(default_factory=list)
    #: Parents that failed because `input.fanout` is not valid.
    failed: int = 0
    #: Parents that get no more children: they, or their runs, were cancelled.
    cancelled: int = 0

    @property
    def did_something(self) -> bool:
        """Whether it changed a parent."""
        return bool(self.completed or self.partial or self.failed or self.cancelled)


def run_fanout_once(max_fanout: int = MAX_FANOUT) -> FanoutPass:
    """Make at most ``max_fanout`` children, and fail parents with a bad `input.fanout`.

    Parents of halted or draining namespaces, and cancelled ones, get none.
    """
    if not 1 <= max_fanout <= _LARGEST_MAX_FANOUT:
        raise ValueError(f"max_fanout must be from 1 to {_LARGEST_MAX_FANOUT:,}.")
    done = FanoutPass()
    if gate.paused_here():
        return done
    clock.refresh()
    bad: list[tuple[str, str]] = []
    with transaction.atomic():
        for task_id, name, made, children, fanout, bad_input, is_over in _FAN_OUT.send(
            prefix=ulid.make()[:-_NUMBER_LENGTH], max_fanout=max_fanout, max_parents=_MAX_PARENTS
        ):
            done.children += made
            if is_over:
                done.cancelled += 1
            elif bad_input is not None:
                bad.append((task_id, inputs.problem(json.loads(bad_input))))
            elif children == fanout:
                done.completed += 1
            elif made:
                done.partial.append(PartialFanout(task_id, name, children, fanout))
        if bad:
            done.failed = _fail(bad)
    return done


def is_pending() -> bool:
    """Return whether parents wait for a pass."""
    row = _IS_PENDING.one()
    return row is not None and bool(row[0]) and not gate.paused_here()


def _fail(bad: list[tuple[str, str]]) -> int:
    ids, errors = [task_id for task_id, _ in bad], [error for _, error in bad]
    _START_BAD.send(ids=ids)
    ((failed,),) = _FAIL_BAD.send(ids=ids, errors=errors)
    return int(failed)
