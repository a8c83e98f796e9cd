"""A tier of a recorded cycle under other settings: pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from uuid import UUID

from advisory.backtest.result import Range
from advisory.backtest.unknowns import Unknown
from orbit.pipeline import transformations
from orbit.pipeline.rules import TierRule

#: An attempt that took at least this share of its time-out ran into it: clocks are read twice.
_TIMED_OUT = 0.99


@dataclass(frozen=True, slots=True)
class RecordedTier:
    """A tier as it ran."""

    tier: int
    transformer: str
    ok: bool
    attempts: int
    has_item: bool
    #: Bytes of its item. None: no item, or its bytes are gone.
    size: int | None
    #: Seconds of each attempt. None: not read, or not on record.
    durations: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class ReplayedTier:
    """A tier as it would have run."""

    #: None: unknown.
    ok: bool | None
    attempts: Range
    #: Seconds between its attempts.
    wait: Range
    why: str = ""
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """What the record says about one attempt: it ended the tier, was repeated, or isn't known."""

    ends: bool | None = None
    unknown: Unknown | None = None
    why: str = ""


def wait(cycle_id: UUID, tier: int, rule: TierRule, attempts: int) -> float:
    """Return the seconds that a tier waits until its attempt number ``attempts``.

    Real jitter is drawn anew each time. Here it is drawn once for cycle, tier and attempt, so that
    two rules are compared under the same jitter.
    """
    group = f"{cycle_id} {tier}"
    waits = (transformations.next_wait(number, rule, group=group) for number in range(1, attempts))
    return sum(seconds for seconds in waits if seconds is not None)


def replay(
    cycle_id: UUID, recorded: RecordedTier, own: TierRule, new: TierRule, *, timed: bool
) -> ReplayedTier:
    """Return how the tier would have run under ``new`` instead of ``own``.

    ``timed``: its transformer waits for something, so its time-out counts.
    """
    step_of = _steps(recorded, own, new, timed=timed)
    most = int(new.max_attempts)
    for attempt in count(1):
        step = step_of(attempt)
        used = Range.of(attempt)
        waited = Range.of(wait(cycle_id, recorded.tier, new, attempt))
        if step.unknown is not None and (attempt < most or step.ends is None):
            # It may have ended with this attempt, or only with the last one.
            return ReplayedTier(
                None,
                Range(attempt, most),
                Range(waited.least, wait(cycle_id, recorded.tier, new, most)),
                step.why,
                step.unknown,
            )
        if step.ends is not None:
            return ReplayedTier(step.ends, used, waited, step.why)
        if attempt >= most:
            why = f"tier {recorded.tier} needed {recorded.attempts} attempts, but has {most}"
            return ReplayedTier(False, used, waited, why if recorded.ok else "")
    raise AssertionError  # count() has no end


def _steps(
    recorded: RecordedTier, own: TierRule, new: TierRule, *, timed: bool
) -> Callable[[int], _Step]:
    tier, timeout_changes = recorded.tier, timed and own.timeout != new.timeout
    exhausted = not recorded.ok and recorded.attempts >= int(own.max_attempts)

    def step_of(attempt: int) -> _Step:
        is_last = attempt == recorded.attempts
        if attempt > recorded.attempts:
            why = f"tier {tier} used up its {recorded.attempts} attempts; more are allowed"
            return _Step(None, Unknown.TIER_EXHAUSTED, why)
        succeeded = recorded.ok and is_last
        if timeout_changes:
            if recorded.durations is None or len(recorded.durations) < attempt:
                why = f"how long the attempts of tier {tier} took isn't on record any more"
                return _Step(None, Unknown.TIER_TIMES, why)
            seconds = recorded.durations[attempt - 1]
            if succeeded and seconds > new.timeout:
                why = f"tier {tier} answered after {seconds:.1f} s; the time-out is {new.timeout:g}"
                return _Step(False, Unknown.TIER_CUT_OFF, why)
            if not succeeded and own.timeout * _TIMED_OUT <= seconds and new.timeout > own.timeout:
                why = f"tier {tier} ran into its time-out of {own.timeout:g} s"
                return _Step(None, Unknown.TIER_TIMED_OUT, why)
        if succeeded:
            return _Step(True)
        # A failed tier with attempts left failed for good.
        return _Step(False) if is_last and not exhausted else _Step()

    return step_of
