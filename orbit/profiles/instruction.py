"""A cycle's instruction: a pure function of run profile and profile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.kernel import canonical


@dataclass(frozen=True, slots=True)
class Instruction:
    """A document, its canonical bytes and their SHA-256."""

    document: dict[str, Any]
    body: bytes  # a cycle's input if its trigger brings none
    instruction_id: str


def synthesize(run_profile: Mapping[str, Any], profile: Mapping[str, Any]) -> Instruction:
    """Merge two valid documents. Raises ValueError if one has no canonical form."""
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
        # The tags of both, the profile's first, each once.
        "value_tags": list(
            dict.fromkeys([*profile.get("value_tags", []), *run_profile.get("value_tags", [])])
        ),
    }
    body = canonical.canonical_json(document)
    return Instruction(document, body, canonical.sha256_hex(body))
