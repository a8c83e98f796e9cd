"""Roles and their scopes. A role is a Django group of that name."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission. Tokens can have all but ``administer``."""

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

#: What each scope allows, for the Access page.
DESCRIPTIONS: dict[Scope, str] = {
    Scope.READ: "see cycles, deliveries, configuration and the audit trail",
    Scope.OPERATE: "trigger, cancel, requeue, halt and resume",
    Scope.REVIEW: "approve and reject proposals",
    Scope.CONFIGURE: "edit profiles, run profiles and schedules",
    Scope.ADMINISTER: "create users and tokens, and set their permissions",
}


def scopes_of(groups: list[str], *, superuser: bool) -> frozenset[Scope]:
    """Return the scopes of a member of ``groups``."""
    if superuser:
        return frozenset(Scope)
    return frozenset().union(*(ROLES.get(group, frozenset()) for group in groups))
