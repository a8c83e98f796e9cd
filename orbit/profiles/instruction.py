"""A cycle's instruction: a pure function of run profile and profile."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from governance.kernel import canonical

_OF_PROFILE = ("asset_bindings", "distribution_map", "execution_rules", "style_vector")


@dataclass(frozen=True)
class Instruction:
    """Canonical JSON and its SHA-256."""

    body: bytes  # a cycle's input if its trigger brings none
    instruction_id: str

    @cached_property
    def document(self) -> dict[str, Any]:
        """The body, parsed."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class ProfilePart:
    """A profile's share of its instructions, made canonical once for all its run profiles."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        """Raises ValueError if the profile has no canonical form."""
        self.profile_id: str = profile["profile_id"]
        self.value_tags: list[str] = profile.get("value_tags", [])
        self.members = {
            name: canonical.canonical_json(profile.get(name, {})) for name in _OF_PROFILE
        }

    @property
    def size(self) -> int:
        """About how many bytes it holds."""
        return 1_000 + sum(len(member) for member in self.members.values())


def synthesize(
    run_profile: Mapping[str, Any], profile: Mapping[str, Any] | ProfilePart
) -> Instruction:
    """Merge two valid documents. Raises ValueError if one has no canonical form."""
    part = profile if isinstance(profile, ProfilePart) else ProfilePart(profile)
    own = {
        "profile_id": part.profile_id,
        "run_profile_id": run_profile["run_profile_id"],
        "namespace": run_profile["namespace"],
        "asset_bundle": run_profile.get("asset_bundle", {}),
        "execution_policy": run_profile.get("execution_policy", {}),
        "distribution_targets": run_profile.get("distribution_targets", []),
        # The tags of both, the profile's first, each once.
        "value_tags": list(dict.fromkeys([*part.value_tags, *run_profile.get("value_tags", [])])),
    }
    members = {name: canonical.canonical_json(value) for name, value in own.items()} | part.members
    # RFC 8785 sorts members by name: the object is its members' canonical forms side by side.
    body = b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), members[name]) for name in sorted(members)
    )
    return Instruction(body, canonical.sha256_hex(body))
