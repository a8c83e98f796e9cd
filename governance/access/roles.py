"""Five roles and what each may. A role is a Django group of the same name."""

from enum import StrEnum


class Power(StrEnum):
    """What a person or token may do; the first four are also the scopes of tokens."""

    READ = "read"
    OPERATE = "operate"
    REVIEW = "review"
    CONFIGURE = "configure"
    ADMINISTER = "administer"


SCOPES = (Power.READ, Power.OPERATE, Power.REVIEW, Power.CONFIGURE)

ROLES: dict[str, frozenset[Power]] = {
    "Viewer": frozenset({Power.READ}),
    "Operator": frozenset({Power.READ, Power.OPERATE}),
    "Reviewer": frozenset({Power.READ, Power.REVIEW}),
    "Configurator": frozenset({Power.READ, Power.CONFIGURE}),
    "Administrator": frozenset(Power),
}

#: What each power is good for, in words.
MEANS: dict[Power, str] = {
    Power.READ: "see cycles, deliveries, configuration and the audit trail",
    Power.OPERATE: "trigger, cancel, requeue, halt and resume",
    Power.REVIEW: "approve and reject proposals",
    Power.CONFIGURE: "edit profiles, run profiles and schedules",
    Power.ADMINISTER: "make people and tokens, and say what they may",
}


def powers_of(groups: list[str], *, superuser: bool) -> frozenset[Power]:
    """Return what a member of ``groups`` may do; a superuser may do everything."""
    if superuser:
        return frozenset(Power)
    return frozenset().union(*(ROLES.get(group, frozenset()) for group in groups))
