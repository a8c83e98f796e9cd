"""The members of profiles and run profiles with a field in the form."""

from governance.access.actors import Actor
from governance.models import Namespace
from orbit.admin.document_form import STATES, Member
from orbit.pipeline import registry
from orbit.profiles import visible
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.records.checkpoints import TIERS

_MAX_EXAMPLES = 5
_LINES = "One per line."


def members_of(kind: AnyKind, actor: Actor, *, new: bool) -> list[Member]:
    """Return the members with a field. Only a new document has one for its id."""
    name = (
        [
            Member(
                kind.key,
                "Id",
                (kind.key,),
                help="Letters, digits, dots, hyphens and underscores. It can't be changed later.",
            )
        ]
        if new
        else []
    )
    tags = Member(
        "value_tags", "Value tags", ("value_tags",), "lines", empty=("value_tags",), help=_LINES
    )
    return [*name, *(_profile() if kind is PROFILE else _run_profile(actor)), tags]


def _profile() -> list[Member]:
    transformers = _choices(registry.names(), none="default: passthrough")
    processors = _choices(registry.processor_names(), none="default: passthrough")
    return [
        Member("label", "Label", ("label",)),
        Member("state", "State", ("state",), choices=tuple(STATES)),
        *(
            Member(
                f"tier_{tier}",
                f"Transformer of tier {tier}",
                ("execution_rules", "tiers", str(tier), "transformer"),
                choices=transformers,
                empty=("execution_rules", "tiers", str(tier)),
                help="Its options are in the JSON.",
            )
            for tier in TIERS
        ),
        Member(
            "processor",
            "Processor of the items",
            ("execution_rules", "normalizer", "processor"),
            choices=processors,
            empty=("execution_rules", "normalizer"),
        ),
    ]


def _run_profile(actor: Actor) -> list[Member]:
    profiles = (
        visible.profiles(actor)
        .order_by("profile_id")
        .values_list("profile_id", flat=True)[:_MAX_EXAMPLES]
    )
    namespaces = (
        Namespace.objects.filter(actor.filter("name"))
        .order_by("name")
        .values_list("name", flat=True)[:_MAX_EXAMPLES]
    )
    return [
        Member(
            "profile_id",
            "Profile",
            ("profile_id",),
            help=f"For example {', '.join(profiles)}." if profiles else "There is no profile yet.",
        ),
        Member(
            "namespace", "Namespace", ("namespace",), help=f"For example {', '.join(namespaces)}."
        ),
        Member("state", "State", ("state",), choices=tuple(STATES)),
        _policy(
            "cron",
            "Cron",
            "Five fields: minute, hour, day of month, month, day of week. Empty: no schedule.",
        ),
        _policy("time_zone", "Time zone", "An IANA name such as Europe/Berlin."),
        _policy(
            "on_missed",
            "A missed tick",
            choices=(
                ("", "default"),
                ("once", "once: make up for it with one cycle"),
                ("skip", "skip: ignore it"),
            ),
        ),
        _policy("max_lateness", "Skip a tick that is late by (seconds)", input_="number"),
        _policy("max_dispatch_retries", "Retries of a delivery", input_="number"),
        Member(
            "distribution_targets",
            "Endpoints",
            ("distribution_targets",),
            "lines",
            empty=("distribution_targets",),
            help=f"Keys of endpoints. {_LINES}",
        ),
    ]


def _policy(
    name: str,
    label: str,
    text: str = "",
    *,
    input_: str = "text",
    choices: tuple[tuple[str, str], ...] = (),
) -> Member:
    path = ("execution_policy", name)
    return Member(name, label, path, input_, choices, empty=path, help=text)


def _choices(names: list[str], *, none: str) -> tuple[tuple[str, str], ...]:
    return (("", none), *((name, name) for name in names))
