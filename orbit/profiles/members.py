"""The members of profiles and run profiles with a field beside the JSON.

Both may be changed at once. A changed field goes into the JSON, unless the JSON has another change
there: the user must choose.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel import strict_json
from governance.kernel.schemas import pointer
from governance.models import Namespace
from governance.rest.parsing import LIMIT
from orbit.pipeline import registry
from orbit.profiles import visible
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.profiles.schema import Problems
from orbit.records.checkpoints import TIERS
from orbit.states import ProfileState

Choices = tuple[tuple[str, str], ...]

_MAX_EXAMPLES = 5
_LINES = "One per line."
_STATES: Choices = tuple((str(state), str(state)) for state in ProfileState)
_MISSED: Choices = (
    ("", "default"),
    ("once", "once: make up for it with one cycle"),
    ("skip", "skip: ignore it"),
)


#: The documents that new ones start from.
BLANK: dict[str, dict[str, Any]] = {
    "profile": {
        "profile_id": "",
        "label": "",
        "state": "enabled",
        "execution_rules": {"tiers": {}},
        "value_tags": [],
    },
    "run_profile": {
        "run_profile_id": "",
        "profile_id": "",
        "namespace": "",
        "state": "enabled",
        "execution_policy": {},
        "distribution_targets": [],
        "value_tags": [],
    },
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the document that has a field of its own."""

    name: str
    label: str
    #: Its place in the document.
    path: tuple[str, ...]
    #: "text", "lines" or "number".
    input: str = "text"
    choices: Choices = ()
    #: The member to remove if the field is emptied; None keeps an empty text.
    empty: tuple[str, ...] | None = None
    help: str = ""

    def text_in(self, document: Any) -> str:
        """Return the member as the field shows it; empty if missing."""
        for step in self.path:
            document = document.get(step) if isinstance(document, Mapping) else None
        if isinstance(document, list):
            return "\n".join(str(item) for item in document)
        return "" if document is None else str(document)

    def put(self, document: dict[str, Any], text: str) -> None:
        """Put the field's ``text`` into ``document``."""
        removed = self.empty if not text else None
        *outer, last = self.path if removed is None else removed
        for step in outer:
            inner: Any = document.setdefault(step, {})
            if not isinstance(inner, dict):
                return
            document = inner
        if removed is None:
            document[last] = self._value(text)
        else:
            document.pop(last, None)

    def _value(self, text: str) -> Any:
        if self.input == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        if self.input == "number":
            try:
                return int(text)
            except ValueError:
                return text  # the schema refuses it
        return text

    def contains(self, place: str) -> bool:
        """Return whether the JSON pointer ``place`` is inside this member."""
        own = pointer(self.empty or self.path)
        return place == own or place.startswith(own + "/")


def parse(text: str) -> tuple[Any, list[str]]:
    """Read the JSON as strictly as the API does; return the document, or what is wrong."""
    # Half a surrogate pair must reach the parser, which refuses it and names the byte.
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > LIMIT:
        return None, [f"The document is longer than {LIMIT} bytes."]
    try:
        document = strict_json.loads(data)
    except strict_json.StrictJsonError as error:
        return None, [_message(problem) for problem in error.errors]
    return document, [] if isinstance(document, dict) else ["The document must be an object."]


def merge(
    members: Sequence[Member], base: Any, document: dict[str, Any], texts: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return ``document`` with the changed ``texts`` of fields, and what contradicts it."""
    merged, clashes = deepcopy(document), {}
    for member in members:
        # Browsers send lines that end in CRLF.
        text = texts[member.name].replace("\r\n", "\n")
        base_text, json_text = member.text_in(base), member.text_in(merged)
        # The field has no change, or the same as the JSON.
        if text in (base_text, json_text):
            continue
        if json_text != base_text:
            clashes[member.name] = (
                f"The JSON has {json_text or 'nothing'!r} here: change only one of the two."
            )
        member.put(merged, text)
    return merged, clashes


def assign(members: Sequence[Member], problems: Problems) -> list[tuple[str, str]]:
    """Return each problem's message with the name of its field, or "document"."""
    assigned = []
    for problem in problems:
        member = next((m for m in members if m.contains(problem["pointer"])), None)
        assigned.append(
            (member.name, problem["detail"]) if member else ("document", _message(problem))
        )
    return assigned


def members_of(kind: AnyKind, actor: Actor, *, new: bool) -> list[Member]:
    """Return the members with a field. Only a new document has one for its id."""
    name = Member(
        kind.key,
        "Id",
        (kind.key,),
        help="Letters, digits, dots, hyphens and underscores. It can't be changed later.",
    )
    tags = Member(
        "value_tags", "Value tags", ("value_tags",), "lines", empty=("value_tags",), help=_LINES
    )
    own = _profile() if kind is PROFILE else _run_profile(actor)
    return [*([name] if new else []), *own, tags]


def _profile() -> list[Member]:
    transformers = _choices(registry.names(), none="default: passthrough")
    rules = ("execution_rules",)
    return [
        Member("label", "Label", ("label",)),
        Member("state", "State", ("state",), choices=_STATES),
        *(
            Member(
                f"tier_{tier}",
                f"Transformer of tier {tier}",
                (*rules, "tiers", str(tier), "transformer"),
                choices=transformers,
                empty=(*rules, "tiers", str(tier)),
                help="Its options are in the JSON.",
            )
            for tier in TIERS
        ),
        Member(
            "processor",
            "Processor of the items",
            (*rules, "normalizer", "processor"),
            choices=_choices(registry.processor_names(), none="default: passthrough"),
            empty=(*rules, "normalizer"),
        ),
    ]


def _run_profile(actor: Actor) -> list[Member]:
    profiles = visible.profiles(actor).order_by("profile_id").values_list("profile_id", flat=True)
    namespaces = Namespace.objects.filter(actor.filter("name")).order_by("name")
    cron = "Five fields: minute, hour, day of month, month, day of week. Empty: no schedule."
    return [
        Member("profile_id", "Profile", ("profile_id",), help=_examples(profiles, "profile")),
        Member(
            "namespace",
            "Namespace",
            ("namespace",),
            help=_examples(namespaces.values_list("name", flat=True), "namespace"),
        ),
        Member("state", "State", ("state",), choices=_STATES),
        _policy("cron", "Cron", cron),
        _policy("time_zone", "Time zone", "An IANA name such as Europe/Berlin."),
        _policy("on_missed", "A missed tick", choices=_MISSED),
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
    name: str, label: str, text: str = "", *, input_: str = "text", choices: Choices = ()
) -> Member:
    path = ("execution_policy", name)
    return Member(name, label, path, input_, choices, empty=path, help=text)


def _examples(names: Any, noun: str) -> str:
    examples = ", ".join(names[:_MAX_EXAMPLES])
    return f"For example {examples}." if examples else f"There is no {noun} yet."


def _choices(names: Sequence[str], *, none: str) -> Choices:
    return (("", none), *((name, name) for name in names))


def _message(problem: Mapping[str, str]) -> str:
    return f"{problem['pointer']}: {problem['detail']}".removeprefix(": ")
