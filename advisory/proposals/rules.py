"""The engine's rules: each has one condition, one patch, one title, one rationale, one forecast.

They look at a signal of low performance, the documents and the last cycles. docs/advice.md has the
table for users.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from advisory.models import AdvisorySignal
from advisory.proposals import facts, moving, sentences
from advisory.proposals.facts import Facts
from advisory.proposals.patches import Patch
from advisory.signals.assess import Question
from advisory.statistics.forecasts import Forecast, Measure
from governance.kernel import schemas
from orbit.models import Profile, RunProfile
from orbit.pipeline import rules as pipeline
from orbit.pipeline.transformations import BACKOFF_CAP
from orbit.states import ProfileState

#: A tier or an endpoint that failed less often is left alone.
LEAST_FAILURES = 5
#: Of all cycles.
LEAST_FAILED_SHARE = 0.1
#: Later attempts that succeed less often than this are in vain.
LEAST_RECOVERED_SHARE = 0.05
#: Waits of a tier that add up to less are too short for anything to recover.
SHORT_WAITS = 5.0
LEAST_BACKOFF, LARGEST_BACKOFF = 2.0, 60.0
#: A target that gets less of its deliveries is disabled, if all others together get more than that.
BAD_TARGET, GOOD_TARGETS = 0.5, 0.9
_ENABLED = str(ProfileState.ENABLED)


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules look at: a profile with a signal of low performance in a namespace."""

    profile: Profile
    #: Those that are enabled in the namespace.
    run_profiles: Sequence[RunProfile]
    signal: AdvisorySignal
    facts: Facts

    @property
    def window(self) -> Mapping[str, Any]:
        """The numbers of the signal's window."""
        window: Mapping[str, Any] = self.signal.evidence.get("window", {})
        return window

    def forecast(self, gained_share: float) -> dict[str, Any] | None:
        """Return the forecast that this share of all cycles succeeds in addition."""
        rate = self.window.get("success_rate")
        if rate is None or not rate < (target := round(rate + gained_share, 2)):
            return None
        return self._forecast(Measure.SUCCESS_RATE, rate, min(target, 0.99))

    def latency_forecast(self) -> dict[str, Any] | None:
        """Return the forecast that half of the latency's rise goes away."""
        latency = self.signal.evidence["latency_ms"]  # there is one, if it became worse
        now, before = latency["window"]["p50"], latency["baseline"]["p50"]
        if now is None or before is None or now <= before:
            return None
        return self._forecast(Measure.LATENCY, now, round((now + before) / 2))

    def _forecast(self, measure: Measure, value: float, target: float) -> dict[str, Any] | None:
        if measure == Measure.SUCCESS_RATE and value >= target:
            return None
        moments = (self.window["from"], self.window["to"])
        start, end = map(datetime.fromisoformat, moments)
        return Forecast(measure, start, end, value, target).to_dict()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change of one document that a rule suggests, with its reason in sentences."""

    row: Profile | RunProfile
    patch: Patch
    title: str
    reason: str
    evidence: dict[str, Any]
    forecast: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; ``suggest`` yields nothing if its condition doesn't hold."""

    name: str
    suggest: Callable[[Case], Iterator[Suggestion]]


def _raise_backoff(case: Case) -> Iterator[Suggestion]:
    for tier, numbers, rule in _failing_tiers(case):
        waits = _waits(rule)
        new = min(LARGEST_BACKOFF, max(LEAST_BACKOFF, 4 * rule.backoff_base))
        if new <= rule.backoff_base or (_in_vain(numbers) and waits >= SHORT_WAITS):
            continue
        yield Suggestion(
            case.profile,
            put(case.profile.document, ("execution_rules", "tiers", tier, "backoff_base"), new),
            title=f"Raise back-off for {case.profile}",
            reason=sentences.raise_backoff(tier, numbers, rule.max_attempts, waits, new),
            evidence=_tier_evidence(tier, numbers),
            # Half of the failures, at most.
            forecast=case.forecast(0.5 * numbers.failed / numbers.cycles),
        )


def _lower_attempts(case: Case) -> Iterator[Suggestion]:
    for tier, numbers, rule in _failing_tiers(case):
        if not _in_vain(numbers) or _waits(rule) < SHORT_WAITS:
            continue
        new = rule.max_attempts // 2
        yield Suggestion(
            case.profile,
            put(case.profile.document, ("execution_rules", "tiers", tier, "max_attempts"), new),
            title=f"Lower attempts of tier {tier} for {case.profile}",
            reason=sentences.lower_attempts(tier, numbers, rule.max_attempts, new),
            evidence=_tier_evidence(tier, numbers),
            forecast=None,
        )


def _lower_retries(case: Case) -> Iterator[Suggestion]:
    for run_profile in case.run_profiles:
        endpoints = case.facts.endpoints.get(str(run_profile), {})
        in_vain = sum(endpoint.retried_in_vain for endpoint in endpoints.values())
        recovered = sum(endpoint.recovered for endpoint in endpoints.values())
        configured = run_profile.document.get("execution_policy", {}).get("max_dispatch_retries")
        if configured is None or configured < 2 or in_vain < LEAST_FAILURES:
            continue
        if recovered / (recovered + in_vain) >= LEAST_RECOVERED_SHARE:
            continue
        new = configured // 2
        yield Suggestion(
            run_profile,
            put(run_profile.document, ("execution_policy", "max_dispatch_retries"), new),
            title=f"Lower retries for {run_profile}",
            reason=sentences.lower_retries(run_profile, in_vain, recovered, configured, new),
            evidence={"retried_in_vain": in_vain, "recovered": recovered},
            forecast=None,
        )


def _disable_target(case: Case) -> Iterator[Suggestion]:
    for run_profile in case.run_profiles:
        endpoints = case.facts.endpoints.get(str(run_profile), {})
        targets = run_profile.document.get("distribution_targets", [])
        for index, target in enumerate(targets):
            bad = endpoints.get(target)
            others = [endpoints[other] for other in targets if other in endpoints]
            others = [endpoint for endpoint in others if endpoint is not bad]
            if bad is None or bad.dead < LEAST_FAILURES or not others:
                continue
            good = 1 - sum(other.dead for other in others) / sum(
                other.deliveries for other in others
            )
            if bad.delivered_share >= BAD_TARGET or good < GOOD_TARGETS:
                continue
            yield Suggestion(
                run_profile,
                [{"op": "remove", "path": f"/distribution_targets/{index}"}],
                title=f"Disable the target {target} of {run_profile}"[:200],
                reason=sentences.disable_target(target, bad, good),
                evidence={"endpoint_key": target, **_numbers(bad)},
                # The cycles that failed for nothing else.
                forecast=case.forecast(0.9 * bad.only_culprit / case.facts.all_cycles),
            )


def _move_cron(case: Case) -> Iterator[Suggestion]:
    if not _is_slower(case.signal):
        return
    for run_profile in case.run_profiles:
        policy = run_profile.document.get("execution_policy", {})
        move = moving.away(policy.get("cron", ""), policy.get("time_zone", "UTC"), str(run_profile))
        if move is None:
            continue
        yield Suggestion(
            run_profile,
            put(run_profile.document, ("execution_policy", "cron"), move.cron),
            title=f"Start {run_profile} at a quieter minute",
            reason=sentences.move_cron(run_profile, policy["cron"], move),
            evidence={
                "run_profiles_in_the_minute": move.busy.run_profiles,
                "cycles_in_the_minute": move.busy.cycles,
                "cycles_in_the_new_minute": move.quiet.cycles,
            },
            forecast=case.latency_forecast(),
        )


def _disable_profile(misfits: Sequence[str], case: Case) -> Iterator[Suggestion]:
    yield Suggestion(
        case.profile,
        [{"op": "replace", "path": "/state", "value": "disabled"}],
        title=f"Disable {case.profile}",
        reason=sentences.disable_profile(case.facts.all_cycles, misfits),
        evidence={},
        forecast=None,
    )


#: In the order in which they are tried. All that hold suggest something.
RULES = (
    Rule("raise_backoff", _raise_backoff),
    Rule("lower_attempts", _lower_attempts),
    Rule("lower_retries", _lower_retries),
    Rule("disable_target", _disable_target),
    Rule("move_cron", _move_cron),
)


def last_resort(misfits: Sequence[str]) -> Rule:
    """Return the rule for when no other one suggests anything that can be applied.

    ``misfits`` are the rules whose suggestions can't.
    """
    return Rule("disable_profile", partial(_disable_profile, misfits))


def put(document: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Patch:
    """Return the patch that sets the member at ``path``; its missing parents are added."""
    for depth, step in enumerate(path):
        is_last = depth == len(path) - 1
        if step not in document or is_last:
            for parent in reversed(path[depth + 1 :]):
                value = {parent: value}
            name = "replace" if step in document else "add"
            return [{"op": name, "path": schemas.pointer(path[: depth + 1]), "value": value}]
        document = document[step]
    raise ValueError("The path is empty.")


def _failing_tiers(case: Case) -> Iterator[tuple[str, facts.Tier, pipeline.TierRule]]:
    """Yield the configured tiers that failed often although they made several attempts."""
    for tier, numbers in sorted(case.facts.tiers.items()):
        name = str(tier)
        configured = case.profile.document.get("execution_rules", {}).get("tiers", {})
        rule = pipeline.tier_rule(case.profile.document, tier)
        is_failing = (
            numbers.failed >= LEAST_FAILURES
            and numbers.failed / numbers.cycles >= LEAST_FAILED_SHARE
            and numbers.retried_in_vain > 0
        )
        if name in configured and rule.max_attempts > 1 and is_failing:
            yield name, numbers, rule


def _waits(rule: pipeline.TierRule) -> float:
    """Return the seconds that a tier waits in all before its last attempt."""
    return math.fsum(
        min(BACKOFF_CAP, rule.backoff_base * 2**number) for number in range(rule.max_attempts - 1)
    )


def _in_vain(numbers: facts.Tier) -> bool:
    retried = numbers.recovered + numbers.retried_in_vain
    return retried > 0 and numbers.recovered / retried < LEAST_RECOVERED_SHARE


def _is_slower(signal: AdvisorySignal) -> bool:
    return any(
        test["found"] and test["test"] == Question.LATENCY_HIGHER
        for test in signal.evidence.get("tests", ())
    )


def _tier_evidence(tier: str, numbers: facts.Tier) -> dict[str, Any]:
    return {"tier": int(tier), **_numbers(numbers)}


def _numbers(part: facts.Tier | facts.Endpoint) -> dict[str, Any]:
    return {name: getattr(part, name) for name in type(part).__slots__}
