"""The execution rules of an instruction: how each tier and normalization run, defaults included."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class TierRule:
    """How one tier runs. ``backoff_base`` and ``timeout`` are seconds."""

    transformer: str = "passthrough"
    options: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    backoff_base: float = 1.0
    timeout: float = 30.0


_MEMBERS = frozenset(member.name for member in fields(TierRule))


def tier_rule(instruction: Mapping[str, Any], tier: int) -> TierRule:
    """Return the rule of one tier of a valid instruction, or the defaults if it has none."""
    rule = instruction.get("execution_rules", {}).get("tiers", {}).get(str(tier), {})
    # During an upgrade a newer release may have written a member that this one doesn't know.
    return TierRule(**{name: value for name, value in rule.items() if name in _MEMBERS})


def processor_name(instruction: Mapping[str, Any]) -> str:
    """Return the name of the processor that normalization uses."""
    normalizer = instruction.get("execution_rules", {}).get("normalizer", {})
    return str(normalizer.get("processor", "passthrough"))
