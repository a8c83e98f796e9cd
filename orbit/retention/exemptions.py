"""What keeps cycles beyond their time. Apps above register what they refer to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Referred:
    """Cycles of a profile that were created in [since, until). Namespace None: of all."""

    profile_id: str
    namespace: str | None
    since: datetime
    until: datetime


#: Returns what is referred to now. It is asked before each batch.
Referring = Callable[[], Sequence[Referred]]

_registered: dict[str, Referring] = {}


def register(name: str, referring: Referring) -> None:
    """Keep the cycles that ``referring`` returns. Raises ValueError if the name is taken."""
    if _registered.setdefault(name, referring) is not referring:
        raise ValueError(f"Exemptions of {name} are registered already.")


def referred() -> list[Referred]:
    """Return all that is referred to now."""
    return [each for referring in _registered.values() for each in referring()]
