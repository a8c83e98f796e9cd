"""Which members of a profile and of a run profile have a field of their own in the console's form."""

from governance.access.actors import Actor
from governance.models import Namespace
from orbit.admin.document_form import STATES, Part
from orbit.pipeline import registry
from orbit.profiles import visible
from orbit.profiles.kinds import PROFILE, Kind
from orbit.records.checkpoints import TIERS

_OFFERED = 500
_LINES = "One on each line."


def of(kind: Kind, actor: Actor, *, new: bool) -> list[Part]:
    """Return the fields of ``kind``; only a new document has one for its id, which never changes."""
    name = (
        [
            Part(
                kind.key,
                "Id",
                (kind.key,),
                help="Letters, digits, dots, hyphens and underscores. It can't be changed later.",
            )
        ]
        if new
        else []
    )
    tags = Part(
        "value_tags", "Value tags", ("value_tags",), "lines", empty=("value_tags",), help=_LINES
    )
    return [*name, *(_profile() if kind is PROFILE else _run_profile(actor)), tags]


def _profile() -> list[Part]:
    transformers = _choices(registry.names(), none="left out: passthrough")
    processors = _choices(registry.processor_names(), none="left out: passthrough")
    return [
        Part("label", "Label", ("label",)),
        Part("state", "State", ("state",), choices=tuple(STATES)),
        *(Part(f"tier_{tier}", f"Transformer of tier {tier}", ("execution_rules", "tiers", str(tier), "transformer"), choices=transformers,
               empty=("execution_rules", "tiers", str(tier)), help="Its options stand in the JSON.") for tier in TIERS),
        Part("processor", "Processor of the items", ("execution_rules", "normalizer", "processor"), choices=processors,
             empty=("execution_rules", "normalizer")),
    ]  # fmt: skip


def _run_profile(actor: Actor) -> list[Part]:
    profiles = (
        visible.profiles(actor)
        .order_by("profile_id")
        .values_list("profile_id", flat=True)[:_OFFERED]
    )
    namespaces = (
        Namespace.objects.filter(actor.filter("name"))
        .order_by("name")
        .values_list("name", flat=True)[:_OFFERED]
    )
    return [
        Part(
            "profile_id",
            "Profile",
            ("profile_id",),
            help=f"Such as {', '.join(profiles[:5])}." if profiles else "There is none yet.",
        ),
        Part(
            "namespace", "Namespace", ("namespace",), help=f"Such as {', '.join(namespaces[:5])}."
        ),
        Part("state", "State", ("state",), choices=tuple(STATES)),
        _policy(
            "cron",
            "Cron",
            "Five fields: minute, hour, day of month, month, day of week. Empty: no schedule of its own.",
        ),
        _policy("time_zone", "Time zone", "An IANA name such as Europe/Berlin."),
        _policy(
            "on_missed",
            "A missed tick",
            choices=(
                ("", "as usual"),
                ("once", "once: caught up with one cycle"),
                ("skip", "skip: left out"),
            ),
        ),
        _policy("max_lateness", "A tick is too late after (seconds)", typed="number"),
        _policy("max_dispatch_retries", "Retries of a delivery", typed="number"),
        Part(
            "distribution_targets",
            "Endpoints",
            ("distribution_targets",),
            "lines",
            empty=("distribution_targets",),
            help=f"Their keys. {_LINES}",
        ),
    ]


def _policy(
    name: str,
    label: str,
    text: str = "",
    *,
    typed: str = "text",
    choices: tuple[tuple[str, str], ...] = (),
) -> Part:
    path = ("execution_policy", name)
    return Part(name, label, path, typed, choices, empty=path, help=text)


def _choices(names: list[str], *, none: str) -> tuple[tuple[str, str], ...]:
    return (("", none), *((name, name) for name in names))
