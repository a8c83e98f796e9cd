"""The written policies: what autonomy may do."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from advisory.autonomy.switches import guarded
from orbit.profiles import autonomy_file
from orbit.profiles.files import ConfigInvalid
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind

log = logging.getLogger(__name__)

_KINDS: dict[str, AnyKind] = {"disable_profile": PROFILE, "disable_run_profile": RUN_PROFILE}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of ``autonomy.json``."""

    name: str
    signal: str
    windows: int
    min_confidence: float
    #: What it disables.
    kind: AnyKind
    profiles: tuple[str, ...]
    namespaces: tuple[str, ...]
    max_per_day: int
    #: As it was written.
    document: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Return the policy of a valid document."""
        when = document["when"]
        return cls(
            name=document["name"],
            signal=when["signal"],
            windows=int(when["windows"]),  # JSON's 3.0 is a whole number, too
            min_confidence=float(when["min_confidence"]),
            kind=_KINDS[document["do"]],
            profiles=tuple(document["profiles"]),
            namespaces=tuple(document["namespaces"]),
            max_per_day=int(document["max_per_day"]),
            document=document,
        )


@guarded(lambda: ())
def read() -> tuple[Policy, ...]:
    """Return the policies as the file has them now.

    Raises ConfigInvalid if the file has become invalid since the start.
    """
    documents, problems = autonomy_file.read(Path(settings.ORBIT_CONFIG_DIR))
    if problems:
        raise ConfigInvalid.of(problems)
    return tuple(Policy.of(document) for document in documents)
