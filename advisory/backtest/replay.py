"""One recorded cycle under the proposed settings: pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from advisory.backtest import deliveries, tiers
from advisory.backtest.changes import Changes, Settings
from advisory.backtest.deliveries import RecordedDelivery, ReplayedDelivery
from advisory.backtest.result import DifferingCycle, Figure, Range, Verdict
from advisory.backtest.tiers import RecordedTier, ReplayedTier
from advisory.backtest.unknowns import Unknown
from orbit.cycles import progress
from orbit.pipeline.rules import TierRule
from orbit.states import Cycle

#: What a cycle's figures are, in the order in which they are shown.
FIGURES = (
    "cycles",
    "successful_cycles",
    "tiers_succeeded",
    "tier_attempts",
    "deliveries",
    "failed_deliveries",
    "delivery_requests",
    "bytes_sent",
    "waiting_seconds",
)
NOT_RUN = "not_run"
_NOTHING = Range.of(0)
_MOST_REASONS = 5
_STATUSES = (Cycle.FAILED, Cycle.PARTIAL_SUCCESS, Cycle.SUCCESS)


@dataclass(frozen=True, slots=True)
class RecordedCycle:
    """A cycle that has ended, and what is on record of it."""

    id: UUID
    namespace: str
    run_profile_id: str
    status: str
    trigger: str
    call: UUID | None
    created_at: datetime
    input_is_instruction: bool
    settings: Settings
    processor: str
    #: By place of ``Changes.places``: whether it ran with the proposed value.
    has_already: Mapping[tuple[str, ...], bool] = field(default_factory=dict)
    tiers: Mapping[int, RecordedTier] = field(default_factory=dict)
    deliveries: Sequence[RecordedDelivery] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What isn't the cycle's own."""

    changes: Changes
    #: Keys of the configured endpoints.
    endpoints: Collection[str]
    #: Whether a transformer waits for something outside this process.
    is_slow: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ReplayedCycle:
    """A cycle as recorded and as it would have run."""

    cycle: RecordedCycle
    verdict: Verdict
    would_be: tuple[str, ...]
    figures: Mapping[str, Figure]
    why: tuple[str, ...] = ()
    unknowns: frozenset[Unknown] = frozenset()

    @property
    def listed(self) -> DifferingCycle:
        """Return its entry in the list."""
        cycle = self.cycle
        return DifferingCycle(
            cycle.id,
            cycle.namespace,
            cycle.run_profile_id,
            cycle.created_at,
            self.verdict,
            cycle.status,
            self.would_be,
            self.why[:_MOST_REASONS],
        )


def replay(cycle: RecordedCycle, facts: Facts) -> ReplayedCycle:
    """Return how ``cycle`` would have run."""
    return _Replay(cycle, facts).result()


def without(replayed: ReplayedCycle, why: str, *, certain: bool) -> ReplayedCycle:
    """Return the cycle if it wouldn't have run, or (not ``certain``) may not have."""
    figures = {
        name: Figure(
            figure.before,
            _NOTHING if certain else Range(min(0, figure.after.least), figure.after.most),
        )
        for name, figure in replayed.figures.items()
    }
    verdict = Verdict.DIFFERENT if certain else Verdict.UNPREDICTABLE
    would_be = (NOT_RUN,) if certain else (NOT_RUN, *replayed.would_be)
    unknowns = frozenset[Unknown]() if certain else replayed.unknowns
    return ReplayedCycle(replayed.cycle, verdict, would_be, figures, (why,), unknowns)


def moved(replayed: ReplayedCycle, why: str) -> ReplayedCycle:
    """Return the cycle if it would have run at another time."""
    return replace(replayed, verdict=Verdict.DIFFERENT, why=(why, *replayed.why))


class _Replay:
    """Collects what would have happened in one cycle."""

    def __init__(self, cycle: RecordedCycle, facts: Facts) -> None:
        self._cycle, self._facts, self._changes = cycle, facts, facts.changes
        self._new = facts.changes.apply(cycle.settings)
        self._why: list[str] = []
        self._unknowns: set[Unknown] = set()
        #: Something differs that no figure shows.
        self._input_differs = False
        self._before = dict.fromkeys(FIGURES, 0.0)
        self._after: dict[str, Range] = dict.fromkeys(FIGURES, _NOTHING)
        self._tier_waits: list[Range] = []
        self._delivery_waits: list[Range] = []
        self._old_tier_wait = self._old_delivery_wait = 0.0

    def result(self) -> ReplayedCycle:
        self._look_at_input()
        replayed = {tier: self._tier(tier) for tier in self._cycle.tiers}
        for tier, result in replayed.items():
            self._deliver(tier, result)
        would_be = self._statuses(replayed)
        self._count("cycles", 1, Range.of(1))
        self._count_success(would_be)
        self._count_waits()
        figures = {name: Figure(self._before[name], self._after[name]) for name in FIGURES}
        differs = self._input_differs or any(
            figure.after.excludes(figure.before) for figure in figures.values()
        )
        may_differ = differs or any(figure.changes for figure in figures.values())
        if not differs and not may_differ:
            verdict = Verdict.SAME
        else:
            verdict = Verdict.DIFFERENT if differs else Verdict.UNPREDICTABLE
        return ReplayedCycle(
            self._cycle, verdict, would_be, figures, tuple(self._why), frozenset(self._unknowns)
        )

    def _look_at_input(self) -> None:
        cycle, changes = self._cycle, self._changes
        if not cycle.input_is_instruction or not changes.in_instruction:
            return
        content = [name for name in changes.content if not cycle.has_already[(name,)]]
        if content or changes.value_tags:
            self._input_differs = True
            names = [*content, *(["value_tags"] if changes.value_tags else [])]
            self._why.append(f"its input, the instruction, would have had other {', '.join(names)}")

    # --- Tiers ------------------------------------------------------------------------------

    def _tier(self, number: int) -> ReplayedTier:
        recorded = self._cycle.tiers[number]
        own, new = self._cycle.settings.tiers[number], self._new.tiers[number]
        result = self._replay_tier(recorded, own, new)
        old_wait = tiers.wait(self._cycle.id, number, own, recorded.attempts)
        self._old_tier_wait = max(self._old_tier_wait, old_wait)
        self._tier_waits.append(result.wait)
        succeeded = Range(int(result.ok is True), int(result.ok is not False))
        self._count("tiers_succeeded", int(recorded.ok), succeeded)
        self._count("tier_attempts", recorded.attempts, result.attempts)
        if result.why:
            self._why.append(result.why)
        elif result.attempts.excludes(recorded.attempts):
            self._why.append(
                f"tier {number} would have made {result.attempts.least:g} attempts instead of "
                f"{recorded.attempts}"
            )
        elif result.wait.excludes(old_wait):
            change = result.wait.least - old_wait
            words = "longer" if change > 0 else "shorter"
            self._why.append(f"tier {number} would have waited {abs(change):.1f} s {words}")
        if result.unknown is not None:
            self._unknowns.add(result.unknown)
        return result

    def _replay_tier(self, recorded: RecordedTier, own: TierRule, new: TierRule) -> ReplayedTier:
        cycle, number = self._cycle, recorded.tier
        slow = self._facts.is_slow(recorded.transformer)
        unknown = why = None
        if self._has_other_transformer(recorded):
            unknown, why = (
                Unknown.TRANSFORMER,
                f"tier {number} would have been transformed otherwise",
            )
        elif self._input_differs and slow:
            unknown, why = Unknown.CONTENT, f"tier {number} would have sent another input"
        if unknown is not None:
            most = int(new.max_attempts)
            waited = Range(0, tiers.wait(cycle.id, number, new, most))
            return ReplayedTier(None, Range(1, most), waited, why or "", unknown)
        if slow and cycle.input_is_instruction and self._changes.in_instruction:
            self._unknowns.add(Unknown.INPUT)
        return tiers.replay(cycle.id, recorded, own, new, timed=slow)

    def _has_other_transformer(self, recorded: RecordedTier) -> bool:
        name = self._changes.transformers.get(recorded.tier)
        if name is None:
            return False
        options = ("execution_rules", "tiers", str(recorded.tier), "options")
        return name != recorded.transformer or not self._cycle.has_already[options]

    # --- Deliveries -------------------------------------------------------------------------

    def _deliver(self, number: int, result: ReplayedTier) -> None:
        recorded = self._cycle.tiers[number]
        of_tier = [entry for entry in self._cycle.deliveries if entry.tier == number]
        if self._other_items and result.ok is not False:
            self._unknowns.add(Unknown.PROCESSOR)
            self._why.append(f"the item of tier {number} would have been made otherwise")
        # The deliveries on record say nothing about another item.
        certain = result.ok is True and recorded.ok and not self._other_items
        for entry in of_tier:
            self._delivery(entry, recorded, result, certain)
        if result.ok is False:
            return
        if not certain:
            self._new_deliveries(self._new.targets, recorded, per_item=True)
        elif recorded.has_item:
            own = self._cycle.settings.targets
            added = [key for key in self._new.targets if key not in own]
            self._new_deliveries(added, recorded, per_item=False)

    def _delivery(
        self, entry: RecordedDelivery, tier: RecordedTier, result: ReplayedTier, certain: bool
    ) -> None:
        before = deliveries.as_recorded(self._cycle.id, entry)
        self._old_delivery_wait = max(self._old_delivery_wait, before.wait.least)
        number, size = entry.number, tier.size
        self._before["deliveries"] += number * bool(before.delivered)
        self._before["failed_deliveries"] += number * bool(before.dead)
        self._before["delivery_requests"] += number * entry.requests
        self._before["bytes_sent"] += number * entry.requests * (size or 0)
        removed = entry.endpoint_key is not None and entry.endpoint_key not in self._new.targets
        if removed and entry.endpoint_key in self._cycle.settings.targets:
            self._why.append(f"no delivery of tier {entry.tier} to {entry.endpoint_key}")
            self._note_size(size)
            return
        if result.ok is False:
            self._why.append(f"no delivery of tier {entry.tier}: it would have failed")
            self._note_size(size)
            return
        if not certain:
            return  # counted with the new ones
        after = deliveries.replay(self._cycle.id, entry, self._new.max_retries)
        if after.requests.is_only(entry.requests):
            size = size or 0  # the same bytes as before, however many
        self._note_size(size)
        self._add_delivery(after, entry.number, size)

    def _note_size(self, size: int | None) -> None:
        if size is None:
            self._unknowns.add(Unknown.SIZE)

    def _add_delivery(self, after: ReplayedDelivery, number: int, size: int | None) -> None:
        delivered = Range(int(after.delivered is True), int(after.delivered is not False))
        dead = Range(int(after.dead is True), int(after.dead is not False))
        for name, amount in (
            ("deliveries", delivered),
            ("failed_deliveries", dead),
            ("delivery_requests", after.requests),
            ("bytes_sent", _times(after.requests, size)),
        ):
            self._after[name] += _times(amount, number)
        self._delivery_waits.append(after.wait)
        if after.why:
            self._why.append(after.why)
        if after.unknown is not None:
            self._unknowns.add(after.unknown)

    def _new_deliveries(self, keys: Sequence[str], tier: RecordedTier, *, per_item: bool) -> None:
        """Add deliveries that were never made, or (``per_item``) may not be made at all."""
        retries = self._new.max_retries
        for key in keys:
            if key not in self._facts.endpoints:
                self._why.append(f"{key} isn't configured: nothing is delivered to it")
                continue
            if not per_item:
                self._why.append(f"tier {tier.tier} would have been delivered to {key}, too")
                self._unknowns.add(Unknown.NEW_DELIVERIES)
            most = (self._retries() if retries is None else retries) + 1
            requests = Range(0 if per_item else 1, most)
            # Another item may have any size.
            size = None if per_item else tier.size
            self._note_size(size)
            waited = deliveries.longest_wait(self._cycle.id, key, most - 1)
            self._add_delivery(ReplayedDelivery(None, None, requests, Range(0, waited)), 1, size)

    def _retries(self) -> int:
        return max((entry.max_retries for entry in self._cycle.deliveries), default=0)

    # --- The whole --------------------------------------------------------------------------

    def _statuses(self, replayed: Mapping[int, ReplayedTier]) -> tuple[str, ...]:
        """Return the statuses that the cycle may have had."""
        cycle, delivered = self._cycle, self._after["deliveries"]
        recorded = _status(
            tiers_ok=sum(tier.ok for tier in cycle.tiers.values()),
            items=sum(tier.has_item for tier in cycle.tiers.values()),
            targets=len(cycle.settings.targets),
            delivered=self._before["deliveries"],
        )
        failing = [tier for tier, result in replayed.items() if result.ok is not True]
        lost = [tier for tier in replayed if tier in failing or self._loses_item(tier)]
        worst = _status(
            tiers_ok=len(replayed) - len(failing),
            items=sum(tier.has_item for key, tier in cycle.tiers.items() if key not in lost),
            targets=len(self._new.targets),
            delivered=delivered.least,
        )
        ok = [tier for tier, result in replayed.items() if result.ok is not False]
        best = _status(
            tiers_ok=len(ok),
            items=sum(cycle.tiers[tier].has_item or tier in lost for tier in ok),
            targets=len(self._new.targets),
            delivered=delivered.most or 0,
        )
        # Deliveries may have ended after the cycle, so that its status is another.
        possible = [cycle.status if status == recorded else str(status) for status in (worst, best)]
        order = [str(status) for status in _STATUSES]
        first, last = sorted(order.index(status) for status in possible)
        return tuple(order[first : last + 1])

    def _loses_item(self, tier: int) -> bool:
        return self._other_items and self._cycle.tiers[tier].ok

    @property
    def _other_items(self) -> bool:
        return self._changes.processor not in {None, self._cycle.processor}

    def _count(self, name: str, before: float, after: Range) -> None:
        self._before[name] += before
        self._after[name] += after

    def _count_success(self, would_be: Sequence[str]) -> None:
        certain = would_be == (Cycle.SUCCESS,)
        self._count(
            "successful_cycles",
            int(self._cycle.status == Cycle.SUCCESS),
            Range(int(certain), int(Cycle.SUCCESS in would_be)),
        )

    def _count_waits(self) -> None:
        # Tiers wait at the same time, and so do deliveries.
        self._count(
            "waiting_seconds",
            self._old_tier_wait + self._old_delivery_wait,
            _longest(self._tier_waits) + _longest(self._delivery_waits),
        )


def _status(*, tiers_ok: int, items: int, targets: int, delivered: float) -> Cycle:
    results = progress.stage_results(
        tiers_ok=tiers_ok,
        items=items,
        targets=targets,
        jobs=int(delivered),
        delivered=int(delivered),
    )
    return progress.final_status(results)


def _times(amount: Range, factor: float | None) -> Range:
    if factor is None:
        return Range(0, None if amount.most else 0)
    return Range(amount.least * factor, None if amount.most is None else amount.most * factor)


def _longest(waits: Sequence[Range]) -> Range:
    return Range(
        max((wait.least for wait in waits), default=0),
        max((wait.most or 0 for wait in waits), default=0),
    )
