"""The nine points at which a worker is killed, each before and after its commit.

Tiers send requests to the sink, so that each is a request and a commit of its own. ``before`` is a
request that the sink holds, or a statement that waits at a gate. ``after`` is when the row exists.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from governance.access.actors import SYSTEM
from orbit.cycles import bridge
from orbit.pipeline.transformations import transformation_id
from tests.chaos.fleet import LIMIT, until
from tests.chaos.gates import Gate, Waiter, gate
from tests.chaos.sink import AFTER, BEFORE, Hold
from tests.chaos.testbed import Testbed

REACHED = "SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s AND stage = %s"
SETTLED = """SELECT 1 FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id
WHERE j.cycle_id = %s AND r.status = 'delivered'"""
ITEMS = 3


@dataclass(frozen=True)
class Caught:
    """A cycle at a point: the process that runs it, and its waiting statement."""

    cycle: UUID
    worker: int
    waiter: Waiter | None = None


@dataclass
class Way:
    """What a point needs: a cycle, a gate, and the holds of the sink."""

    testbed: Testbed
    run: str
    gate: Gate
    stack: ExitStack

    def start(self) -> UUID:
        return self.testbed.begin(self.run)

    def hold(self, where: str, *, tier: int = 0) -> Hold:
        """Hold the requests of one tier, or the deliveries, of the next cycle only."""
        before = {str(cycle) for cycle in self.testbed.accepted} | {
            str(transformation_id(cycle, tier)) for cycle in self.testbed.accepted
        }
        return self.stack.enter_context(
            self.testbed.sink.hold(
                where, lambda entry: entry.tier == tier and not before & {entry.cycle, entry.key}
            )
        )

    def at_gate(self, cycle: UUID) -> Caught:
        def waits() -> Waiter | None:
            holder = self.testbed.holder(cycle)
            return next((waiter for waiter in self.gate.waiters() if waiter.worker == holder), None)

        waiter = until(waits, LIMIT, f"the worker of {cycle} doesn't wait at the gate", every=0.002)
        return Caught(cycle, waiter.worker, waiter)

    def carried(self, cycle: UUID) -> Caught:
        return Caught(cycle, self.testbed.carrier(cycle))

    def reached(self, cycle: UUID, text: str, *values: object) -> Caught:
        """Wait for a row; return the process that runs the cycle then, or ran it just before."""
        last = self.testbed.carrier(cycle)
        until(
            lambda: self.testbed.query(text, cycle, *values),
            LIMIT,
            f"{cycle} doesn't reach the point",
            every=0.001,
        )
        return Caught(cycle, self.testbed.holder(cycle) or last)


def _held(way: Way, where: str, tier: int, count: int = 1) -> tuple[Caught, Hold]:
    hold = way.hold(where, tier=tier)
    cycle = way.start()
    until(
        lambda: len(hold.came) >= count,
        LIMIT,
        f"the sink did not get {count} requests of tier {tier}",
        every=0.002,
    )
    return way.carried(cycle), hold


def _initiating(way: Way) -> Caught:
    way.gate.initiate(bridge.initiation_hash(bridge.context_for(way.run, actor=SYSTEM)))
    return way.at_gate(way.start())


def _occupied(checkpoint: str, way: Way) -> Caught:
    """The last tier is answered while this checkpoint can't be written."""
    caught, hold = _held(way, AFTER, 3)
    way.gate.occupy(caught.cycle, checkpoint)
    hold.release()
    return way.at_gate(caught.cycle)


def _checkpoint(stage: str, way: Way) -> Caught:
    return way.reached(way.start(), REACHED, stage)


def _tier_sent(where: str, tier: int, way: Way) -> Caught:
    return _held(way, where, tier)[0]


def _sent(way: Way) -> Caught:
    return _held(way, BEFORE, 0, ITEMS)[0]


def _processed(way: Way) -> Caught:
    return _held(way, AFTER, 0, ITEMS)[0]


def _answered(way: Way) -> Caught:
    """The worker has the answer, but can't write the receipt."""
    caught, hold = _held(way, AFTER, 0, ITEMS)
    way.gate.seize_receipts(caught.cycle)
    hold.release(1)
    return way.at_gate(caught.cycle)


def _one_settled(way: Way) -> Caught:
    caught, hold = _held(way, AFTER, 0, ITEMS)
    hold.release(1)
    return way.reached(caught.cycle, SETTLED)


def _ending(way: Way) -> Caught:
    caught, hold = _held(way, AFTER, 0, ITEMS)
    way.gate.occupy(caught.cycle, "dispatch_complete")
    hold.release()
    return way.at_gate(caught.cycle)


Act = Callable[[Way], Caught]

#: name: (before, after)
POINTS: dict[str, tuple[Act, Act]] = {
    "initiation": (_initiating, partial(_checkpoint, "initiation_complete")),
    "tier 1": (partial(_tier_sent, BEFORE, 1), partial(_checkpoint, "tier1_complete")),
    "tier 2": (partial(_tier_sent, AFTER, 2), partial(_checkpoint, "tier2_complete")),
    "tier 3": (partial(_occupied, "tier3_complete"), partial(_checkpoint, "tier3_complete")),
    "normalization": (
        partial(_occupied, "normalization_complete"),
        partial(_checkpoint, "normalization_complete"),
    ),
    "enqueue": (
        partial(_occupied, "dispatch_enqueued"),
        partial(_checkpoint, "dispatch_enqueued"),  # its deliveries have begun
    ),
    "delivery sent": (_sent, _processed),
    "delivery answered": (_answered, _one_settled),
    "finish": (_ending, partial(_checkpoint, "cycle_finished")),
}


@contextmanager
def at(testbed: Testbed, point: str, *, after: bool, run: str) -> Iterator[tuple[Caught, Gate]]:
    """Bring a cycle of ``run`` to a point and hold it there until the end of the block."""
    with ExitStack() as stack:
        way = Way(testbed, run, stack.enter_context(gate(testbed.url)), stack)
        yield POINTS[point][after](way), way.gate
