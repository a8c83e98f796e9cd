"""Find what a term names, in a bounded number of index look-ups.

The look-ups by id, hash and key are one statement. Texts of errors are compared in the newest
groups only; ``Result.unsearched`` says what was left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Cast
from django.urls import reverse

from governance.access.actors import Actor
from governance.kernel import sql, ulid
from orbit.dispatch import endpoints
from orbit.models import EndpointState
from orbit.records import pruned
from orbit.schedules import rows as schedules
from orbit_site.search.kinds import KINDS, Kind
from orbit_site.search.terms import SHORTEST_TEXT, Form, Term
from telemetry import database

LETTERS_WITH_ERROR = sql.load(__name__, "letters_with_error")
ERRORS_WITH_TEXT = database.load(__name__, "errors_with_text")

#: Rows of each kind that are shown.
MOST = 20
#: Open dead letters, and error groups, whose text is compared.
SCANNED = 5_000
UNSEARCHED = (
    "payloads and inputs (by their SHA-256 only)",
    "messages of execution records and telemetry events",
    "reasons and values in the audit trail",
    f"error text beyond the newest {SCANNED:,} open dead letters and error groups",
    "archived and deleted rows",
)
_TEXT = CharField()


@dataclass(frozen=True, slots=True)
class Hit:
    """An object. ``is_exact``: the term is its whole id, hash or key."""

    group: str
    url: str
    text: str
    title: str = ""
    namespace: str = ""
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What was found, by kind."""

    term: Term
    groups: dict[str, list[Hit]] = field(default_factory=dict)
    #: Kinds with more hits than are shown.
    cut: frozenset[str] = frozenset()
    #: Why nothing may be there.
    note: str = ""

    @property
    def count(self) -> int:
        """How many hits are shown."""
        return sum(len(hits) for hits in self.groups.values())

    @property
    def only(self) -> str:
        """The address of the one object that the term names exactly; empty if none or several."""
        exact = {hit.url for hits in self.groups.values() for hit in hits if hit.is_exact}
        return exact.pop() if len(exact) == 1 else ""


def find(text: str, actor: Actor) -> Result:
    """Return what ``text`` names among what ``actor`` sees."""
    term = Term.read(text)
    if not term.text:
        return Result(term)
    hits = [*_rows(term, actor), *_keys(term, actor)]
    if not any(hit.is_exact for hit in hits):
        hits += _errors(term, actor)
    groups: dict[str, list[Hit]] = {}
    for hit in dict.fromkeys(hits):
        groups.setdefault(hit.group, []).append(hit)
    cut = frozenset(name for name, items in groups.items() if len(items) > MOST)
    first = {name: items[:MOST] for name, items in groups.items()}
    return Result(term, first, cut, "" if hits else _why_nothing(term))


def _rows(term: Term, actor: Actor) -> Iterable[Hit]:
    queries = [
        _query(number, kind, term, actor)
        for number, kind in enumerate(KINDS)
        if term.condition(kind.form, kind.field) is not None
    ]
    if not queries:
        return
    for number, value, target, title, namespace in queries[0].union(*queries[1:], all=True):
        kind = KINDS[number]
        is_exact = kind.form in {Form.SHA256, Form.NUMBER, Form.KEY} or term.is_whole
        url = reverse(f"admin:{kind.page_name}", args=[target] if kind.target else [])
        yield Hit(kind.group, url, value, title or "", namespace or "", is_exact)


def _query(number: int, kind: Kind, term: Term, actor: Actor) -> "QuerySet[Any, tuple[Any, ...]]":
    condition = term.condition(kind.form, kind.field)
    assert condition is not None  # noqa: S101 - the caller has looked
    return (
        kind.model._default_manager.filter(condition, kind.visible(actor))
        .order_by("-pk")
        .values_list(
            Value(number),
            Cast(F(kind.field), _TEXT),
            Cast(F(kind.target or "pk"), _TEXT),
            Cast(F(kind.title), _TEXT),
            Cast(Value(""), _TEXT) if not kind.namespace else Cast(F(kind.namespace), _TEXT),
        )[: MOST + 1]
    )


def _keys(term: Term, actor: Actor) -> Iterable[Hit]:
    """Yield endpoints of the configuration, and schedules, of that name."""
    if actor.namespaces is None and (
        term.text in endpoints.configured()
        or EndpointState.objects.filter(endpoint_key=term.text).exists()
    ):
        url = f"{reverse('admin:index')}orbit/endpoints/{quote(term.text, safe='')}/"
        yield Hit("Endpoints", url, term.text, is_exact=True)
    for name in schedules.visible(actor).filter(name=term.text).values_list("name", flat=True)[:1]:
        url = f"{reverse('admin:orbit_schedules')}?{urlencode({'q': name})}"
        yield Hit("Schedules", url, name, is_exact=True)


def _errors(term: Term, actor: Actor) -> Iterable[Hit]:
    if len(term.text) < SHORTEST_TEXT or term.is_whole:
        return
    values = {
        "term": f"%{term.text.translate(_ESCAPED)}%",
        "scope": None if actor.namespaces is None else sorted(actor.namespaces),
        "scanned": SCANNED,
        "most": MOST + 1,
    }
    letters = reverse("admin:orbit_deadletterdispatch_changelist")
    for group, key, text, count, namespace in LETTERS_WITH_ERROR.rows(**values):
        url = f"{letters}?{urlencode({'group': group})}"
        yield Hit("Groups of dead letters", url, text, f"{count:,} at {key}", namespace)
    for pk, message, count, day, namespace in ERRORS_WITH_TEXT.rows(**values):
        url = reverse("admin:telemetry_errorgroup_change", args=[pk])
        yield Hit("Error groups", url, message, f"{count:,} on {day}", namespace or "")


_ESCAPED = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def _why_nothing(term: Term) -> str:
    if term.uuid is not None:
        return pruned.explain(pruned.CYCLES, pruned.time_of(term.uuid))
    return pruned.explain(pruned.RUNS, ulid.moment_of(term.text.upper()))
