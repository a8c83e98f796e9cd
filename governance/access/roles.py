"""Five roles and what each may. A role is a Django group of the same name."""

from enum import StrEnum


class Scope(StrEnum):
    """What a person or token may do; the first four are also the scopes of tokens."""

    READ = "read"
    OPERATE = "operate"
    REVIEW = "review"
    CONFIGURE = "configure"
    ADMINISTER = "administer"


SCOPES = (Scope.READ, Scope.OPERATE, Scope.REVIEW, Scope.CONFIGURE)

ROLES: dict[str, frozenset[Scope]] = {
    "Viewer": frozenset({Scope.READ}),
    "Operator": frozenset({Scope.READ, Scope.OPERATE}),
    "Reviewer": frozenset({Scope.READ, Scope.REVIEW}),
    "Configurator": frozenset({Scope.READ, Scope.CONFIGURE}),
    "Administrator": frozenset(Scope),
}

#: What each power is good for, in words.
MEANS: dict[Scope, str] = {
    Scope.READ: "see cycles, deliveries, configuration and the audit trail",
    Scope.OPERATE: "trigger, cancel, requeue, halt and resume",
    Scope.REVIEW: "approve and reject proposals",
    Scope.CONFIGURE: "edit profiles, run profiles and schedules",
    Scope.ADMINISTER: "make people and tokens, and say what they may",
}


def scopes_of(groups: list[str], *, superuser: bool) -> frozenset[Scope]:
    """Return what a member of ``groups`` may do; a superuser may do everything."""
    if superuser:
        return frozenset(Scope)
    return frozenset().union(*(ROLES.get(group, frozenset()) for group in groups))
