"""The instruction of a cycle: a pure function of a run profile and its profile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.kernel import canonical


@dataclass(frozen=True, slots=True)
class Instruction:
    """The document, its canonical bytes, and their SHA-256.

    The bytes are a cycle's input if its trigger brings none.
    """

    document: dict[str, Any]
    body: bytes
    instruction_id: str


def synthesize(run_profile: Mapping[str, Any], profile: Mapping[str, Any]) -> Instruction:
    """Return the instruction of two valid documents; the order of their keys doesn't matter.

    It has the tags of both, the profile's first, each once. Raises ValueError for a document
    without canonical form.
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
