"""What a cycle is told to do: a pure function of a run profile and its profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.kernel import canonical

TIERS = (1, 2, 3)
DEFAULT_ATTEMPTS, DEFAULT_BACKOFF, DEFAULT_TIMEOUT = 3, 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Instruction:
    """The document, its canonical bytes (a cycle's input when the trigger brings none), and the SHA-256 that names it."""

    document: dict[str, Any]
    body: bytes
    instruction_id: str


@dataclass(frozen=True, slots=True)
class TierRule:
    """How one tier is run; ``backoff_base`` and ``timeout`` are seconds."""

    transformer: str = "passthrough"
    options: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = DEFAULT_ATTEMPTS
    backoff_base: float = DEFAULT_BACKOFF
    timeout: float = DEFAULT_TIMEOUT


def synthesize(run_profile: Mapping[str, Any], profile: Mapping[str, Any]) -> Instruction:
    """Return the instruction of two valid documents: the same ones always give the same, whatever the order of their keys.

    Tags are those of both, the profile's first, each once. Raises ValueError for a document without canonical form.
    """
    document = {
        "profile_id": profile["profile_id"],
        "run_profile_id": run_profile["run_profile_id"],
        "namespace": run_profile["namespace"],
        **{
            key: profile.get(key, {})
            for key in ("style_vector", "asset_bindings", "execution_rules", "distribution_map")
        },
        "asset_bundle": run_profile.get("asset_bundle", {}),
        "execution_policy": run_profile.get("execution_policy", {}),
        "distribution_targets": run_profile.get("distribution_targets", []),
        "value_tags": list(
            dict.fromkeys([*profile.get("value_tags", []), *run_profile.get("value_tags", [])])
        ),
    }
    body = canonical.canonical_json(document)
    return Instruction(document, body, canonical.sha256_hex(body))


def tier_rules(execution_rules: Mapping[str, Any]) -> dict[int, TierRule]:
    """Return the rule of each tier of valid execution rules, defaults filled in; a tier that is left out passes its input through."""
    tiers = execution_rules.get("tiers", {})
    return {tier: TierRule(**tiers.get(str(tier), {})) for tier in TIERS}


def processor_name(execution_rules: Mapping[str, Any]) -> str:
    """Return the name of the processor that normalization uses."""
    return str(execution_rules.get("normalizer", {}).get("processor", "passthrough"))
