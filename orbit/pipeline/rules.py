"""The execution rules of an instruction, defaults included."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class TierRule:
    """How one tier runs."""

    transformer: str = "passthrough"
    options: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    backoff_base: float = 1.0  # seconds
    timeout: float = 30.0  # seconds


_DEFAULT = TierRule()
_MEMBERS = frozenset(member.name for member in fields(TierRule))


def tier_rule(instruction: Mapping[str, Any], tier: int) -> TierRule:
    """Return a tier's rule, or the defaults."""
    rule = instruction.get("execution_rules", {}).get("tiers", {}).get(str(tier))
    if not rule:
        return _DEFAULT
    # During an upgrade a newer release may have written other members.
    return TierRule(**{name: value for name, value in rule.items() if name in _MEMBERS})


def processor_name(instruction: Mapping[str, Any]) -> str:
    """Return the name of normalization's processor."""
    normalizer = instruction.get("execution_rules", {}).get("normalizer", {})
    return str(normalizer.get("processor", "passthrough"))
