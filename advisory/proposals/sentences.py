"""The rationale of each rule, in sentences with the numbers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from advisory.models import AdvisorySignal
from advisory.proposals.facts import Endpoint, Tier
from advisory.proposals.moving import Move
from advisory.statistics import rounding


def rationale(signal: AdvisorySignal, reason: str) -> str:
    """Return the whole rationale: what the signal saw, the rule's reason, and how sure it is."""
    confidence = rounding.down(signal.confidence, 4)
    return (
        f"{_success(signal)} {reason} "
        f"{signal.signal}, confidence {confidence}; the signal has the method."
    )


def raise_backoff(tier: str, numbers: Tier, max_attempts: int, waits: float, new: float) -> str:
    """Return why the waits of a tier should be longer."""
    return (
        f"{_failed(tier, numbers)} although it makes up to {max_attempts} attempts; "
        f"the waits between them add up to {waits:.3g} s. "
        f"In {_count(numbers.recovered, 'cycle')} a later attempt succeeded. "
        f"A wait of {new:.3g} s before the second attempt, doubled before each further one, "
        "gives what it calls more time to recover."
    )


def lower_attempts(tier: str, numbers: Tier, max_attempts: int, new: int) -> str:
    """Return why a tier should make fewer attempts."""
    return (
        f"{_failed(tier, numbers)} although it makes up to {max_attempts} attempts. "
        f"In {numbers.retried_in_vain} of these cycles the later attempts failed, too; "
        f"in {numbers.recovered} cycles one succeeded. "
        f"With {_count(new, 'attempt')} such a cycle ends earlier and sends less."
    )


def lower_retries(run_profile: Any, in_vain: int, recovered: int, old: int, new: int) -> str:
    """Return why a run profile should retry deliveries less often."""
    return (
        f"Of {_count(in_vain + recovered, 'delivery', 'deliveries')} of {run_profile} that were "
        f"retried, up to {old} times, {in_vain} failed in the end and {recovered} arrived. "
        f"With {_count(new, 'retry', 'retries')} such a cycle ends earlier and sends less."
    )


def disable_target(target: str, bad: Endpoint, good: float) -> str:
    """Return why a target should be removed."""
    error = f" The most frequent failure is {bad.error}." if bad.error else ""
    return (
        f"{target} got {bad.deliveries - bad.dead} of its last {bad.deliveries} deliveries, "
        f"the other targets {_percent(good)} of theirs.{error} "
        f"{_count(bad.only_culprit, 'cycle')} failed for nothing else."
    )


def move_cron(run_profile: Any, cron: str, move: Move) -> str:
    """Return why a cron should move."""
    return (
        f"{run_profile} starts by `{cron}`. In that minute of the hour the clock started "
        f"{_count(move.busy.cycles, 'other cycle')} of {move.busy.run_profiles} run profiles "
        f"lately; in the minute of `{move.cron}`, {move.quiet.cycles}."
    )


def disable_profile(cycles: int, misfits: Sequence[str]) -> str:
    """Return why nothing but disabling the profile is suggested."""
    seen = f"the last {_count(cycles, 'cycle')}" if cycles else "the cycles"
    why = f"No other rule found what to change in {seen} of the current revision."
    if misfits:
        why = (
            f"What {' and '.join(dict.fromkeys(misfits))} would change can't be applied: the "
            "document has other problems. Mend them first."
        )
    return f"{why} A disabled profile starts no cycles until it is enabled again."


def _success(signal: AdvisorySignal) -> str:
    if "window" not in signal.evidence:
        return f"{signal.profile_id} performs low."
    window, before = signal.evidence["window"], signal.evidence["baseline"]
    since = datetime.fromisoformat(window["from"])
    where = f" in {signal.namespace}" if signal.namespace else ""
    text = (
        f"{signal.profile_id} succeeded{where} in {_share(window)} of "
        f"{_count(window['ended'], 'cycle')} since {since.day} {since:%b}"
    )
    if not before["ended"]:
        return f"{text} ({_interval(window)} with 95 % confidence)."
    relation = "meet" if _meet(window["interval"], before["interval"]) else "do not meet"
    return (
        f"{text}; before, in {_share(before)} of {before['ended']}. "
        f"The 95 % intervals ({_interval(window)}, {_interval(before)}) {relation}."
        f"{_latency(signal.evidence['latency_ms'])}"
    )


def _latency(latency: Mapping[str, Any]) -> str:
    now, before = latency["window"]["p50"], latency["baseline"]["p50"]
    if now is None or before is None:
        return ""
    return f" The median latency was {_seconds(now)}; before, {_seconds(before)}."


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.3g} s"


def _failed(tier: str, numbers: Tier) -> str:
    return f"Tier {tier} failed in {numbers.failed} of the last {numbers.cycles} cycles,"


def _share(period: Mapping[str, Any]) -> str:
    return _percent(period["success_rate"])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _interval(period: Mapping[str, Any]) -> str:
    low, high = period["interval"]
    return f"{100 * low:.0f}–{100 * high:.0f} %"


def _meet(left: list[float], right: list[float]) -> bool:
    return left[0] <= right[1] and right[0] <= left[1]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
