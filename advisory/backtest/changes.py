"""What a patch means for a cycle: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from orbit.dispatch import enqueue
from orbit.pipeline import rules
from orbit.pipeline.rules import TierRule
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.records.checkpoints import TIERS
from orbit.states import ProfileState

Document = Mapping[str, Any]
Path = tuple[str, ...]

#: A tier's numbers. A cycle that ran with other ones keeps those that the patch doesn't touch.
_NUMBERS = ("max_attempts", "backoff_base", "timeout")
#: What only the instruction says.
_CONTENT = {
    "profile": ("style_vector", "asset_bindings", "distribution_map"),
    "run_profile": ("asset_bundle",),
}


@dataclass(frozen=True, slots=True)
class Cron:
    """When a run profile's own schedule fires."""

    cron: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides how a cycle runs, beside its input."""

    tiers: Mapping[int, TierRule]
    #: None: as the deliveries on record.
    max_retries: int | None
    targets: Sequence[str]


@dataclass(frozen=True)
class Changes:
    """What a patch changes of a document."""

    #: By tier: the numbers that change, with their new values.
    numbers: Mapping[int, Mapping[str, Any]]
    #: The tiers whose transformer or options change: its new name.
    transformers: Mapping[int, str]
    #: Normalization's new processor.
    processor: str | None = None
    max_retries: int | None = None
    targets: Sequence[str] | None = None
    #: Members of the instruction that no stage reads, except as input.
    content: Sequence[str] = ()
    value_tags: bool = False
    #: Another cron or time zone. An empty one: no schedule of its own any more.
    cron: Cron | None = None
    #: How missed ticks are made up for.
    missed: bool = False
    disabled: bool = False
    enabled: bool = False
    #: Members that may be large, with their new values: the database compares them.
    places: Sequence[tuple[Path, Any]] = ()

    @property
    def in_instruction(self) -> bool:
        """Whether instructions change."""
        return bool(
            self.numbers
            or self.transformers
            or self.processor is not None
            or self.max_retries is not None
            or self.targets is not None
            or self.content
            or self.value_tags
            or self.cron
            or self.missed
        )

    @property
    def needs_durations(self) -> bool:
        """Whether it matters how long each attempt took."""
        return any("timeout" in numbers for numbers in self.numbers.values())

    def apply(self, own: Settings) -> Settings:
        """Return the settings of a cycle, with what the patch changes."""
        tiers = {
            tier: replace(rule, **self.numbers.get(tier, {})) for tier, rule in own.tiers.items()
        }
        targets = own.targets if self.targets is None else self.targets
        return Settings(tiers, self.max_retries, targets)


def between(kind: AnyKind, before: Document, after: Document) -> Changes:
    """Return what ``after`` changes of ``before``; both fit the schema of ``kind``."""
    state = (before.get("state"), after.get("state"))
    common: dict[str, Any] = {
        "content": [
            name for name in _CONTENT[kind.noun] if before.get(name, {}) != after.get(name, {})
        ],
        "value_tags": before.get("value_tags", []) != after.get("value_tags", []),
        "disabled": state == (ProfileState.ENABLED, ProfileState.DISABLED),
        "enabled": state == (ProfileState.DISABLED, ProfileState.ENABLED),
    }
    places: list[tuple[Path, Any]] = [((name,), after.get(name, {})) for name in common["content"]]
    if kind is PROFILE:
        return _of_profile(before, after, common, places)
    return _of_run_profile(before, after, common, places)


def settings_of(instruction: Document) -> Settings:
    """Return the settings of a cycle that ran with ``instruction``."""
    tiers = {tier: rules.tier_rule(instruction, tier) for tier in TIERS}
    return Settings(tiers, None, enqueue.targets(instruction))


def _of_profile(
    before: Document, after: Document, common: dict[str, Any], places: list[tuple[Path, Any]]
) -> Changes:
    numbers: dict[int, dict[str, Any]] = {}
    transformers: dict[int, str] = {}
    for tier in TIERS:
        old, new = rules.tier_rule(before, tier), rules.tier_rule(after, tier)
        changed = {
            name: getattr(new, name)
            for name in _NUMBERS
            if getattr(old, name) != getattr(new, name)
        }
        if changed:
            numbers[tier] = changed
        if (old.transformer, old.options) != (new.transformer, new.options):
            transformers[tier] = new.transformer
            path = ("execution_rules", "tiers", str(tier), "options")
            places.append((path, dict(new.options)))
    processors = rules.processor_name(before), rules.processor_name(after)
    return Changes(
        numbers,
        transformers,
        processor=processors[1] if processors[0] != processors[1] else None,
        places=places,
        **common,
    )


def _of_run_profile(
    before: Document, after: Document, common: dict[str, Any], places: list[tuple[Path, Any]]
) -> Changes:
    old, new = (document.get("execution_policy", {}) for document in (before, after))
    retries = enqueue.max_retries(before), enqueue.max_retries(after)
    targets = enqueue.targets(before), enqueue.targets(after)
    old_cron, new_cron = (_cron(policy) for policy in (old, new))
    return Changes(
        {},
        {},
        max_retries=retries[1] if retries[0] != retries[1] else None,
        # Their order is of no consequence.
        targets=targets[1] if set(targets[0]) != set(targets[1]) else None,
        cron=new_cron if old_cron != new_cron else None,
        missed=any(old.get(name) != new.get(name) for name in ("on_missed", "max_lateness")),
        places=places,
        **common,
    )


def _cron(policy: Mapping[str, str]) -> Cron:
    cron = policy.get("cron", "")
    return Cron(cron, (policy.get("time_zone") or settings.ORBIT_TIME_ZONE) if cron else "")
