"""``/dead-letters``: list, groups, read, requeue, dismiss; one, or many as an operation run."""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.operations import ledger
from governance.rest import pages, parsing, queries
from governance.rest.parsing import BodyInvalid
from governance.rest.resources import Resource
from governance.rest.schemas import TEXT, TIME, WHOLE, maybe, one_of, page, record
from governance.rest.schemas import UUID as ID
from orbit.api import schemas
from orbit.dispatch import bulk, dead_letters, error_groups
from orbit.dispatch.endpoint_drift import Configuration, Today
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.states import Letter

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "status": queries.one_of(Letter),
    "endpoint_key": queries.text,
    "group": queries.text,
    "reason": queries.text,
    "cycle_run_id": queries.identifier,
}
_COLUMNS = {"cycle_run_id": "cycle_id", "group": "error_group"}
_MOST_OFFSET = 10_000
_UUID = {
    "type": "string",
    "format": "uuid",
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "description": "a UUID",
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_TIME = {"type": "string", "maxLength": 50, "format": "date-time"}
_CHOICES = {"endpoint": {"enum": ["snapshot", "current"]}, "new_key": {"type": "boolean"}}
_REQUEUE = parsing.closed_object({"reason": parsing.REASON, **_CHOICES}, required=("reason",))
_DISMISS = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))
_MANY = {
    "reason": parsing.REASON,
    "ids": {"type": "array", "items": _UUID, "minItems": 1, "maxItems": bulk.MAX_IDS},
    "filter": parsing.closed_object(
        {
            "namespace": _NAME,
            "endpoint_key": _NAME,
            "group": _NAME,
            "reason": _NAME,
            "cycle_run_id": _UUID,
            "created_after": _TIME,
            "created_before": _TIME,
        }
    ),
    "rate": {"type": "integer", "minimum": 1, "maximum": bulk.MAX_RATE},
}
_REQUEUE_MANY = parsing.closed_object({**_MANY, **_CHOICES}, required=("reason",))
_DISMISS_MANY = parsing.closed_object(_MANY, required=("reason",))
LETTER = record(
    "DeadLetter",
    **schemas.LETTER,
    group=TEXT,
    error_pattern=TEXT,
    endpoint_now=maybe(one_of(Today)),
)
_GROUP = record(
    group=TEXT,
    endpoint_key=TEXT,
    reason=TEXT,
    status_code=maybe(WHOLE),
    error=TEXT,
    count=WHOLE,
    namespaces=WHOLE,
    first_at=TIME,
    last_at=TIME,
    example_id=ID,
)
_STARTED = record(operation_run_id=ID, matched=WHOLE)
_GONE = (LetterUnknown, AlreadyRequeued, AlreadyResolved)


def _shown(row: Any, today: Configuration) -> dict[str, Any]:
    """Return a letter; of an open one also how its endpoint stands today."""
    now = (
        str(today.compare(row.endpoint_key, row.fingerprint)) if row.status == Letter.OPEN else None
    )
    return {
        **schemas.dead_letter(row),
        "group": row.error_group,
        "error_pattern": row.error_pattern,
        "endpoint_now": now,
    }


class Collection(Resource):
    """All dead letters, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: page(LETTER)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        rows = DeadLetterDispatch.objects.filter(self.actor.filter()).annotate(
            fingerprint=F("job__snapshot__fingerprint")
        )
        rows = rows.filter(
            **{
                _COLUMNS.get(name, name): value
                for name, value in self.sent.items()
                if name in _FILTERS
            }
        )
        today = Configuration()
        return pages.respond(request, rows, lambda row: _shown(row, today), sent=self.sent)


class Groups(Resource):
    """Open dead letters by their cause."""

    parameters = {
        "GET": {"limit": pages.PARAMETERS["limit"], "offset": queries.number(0, _MOST_OFFSET)}
    }
    answers = {"GET": {200: page(_GROUP)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, the largest group first; the newest 100,000 letters are counted."""
        size, offset = self.sent.get("limit", pages.DEFAULT), self.sent.get("offset", 0)
        found = error_groups.listed(self.actor, limit=size + 1, offset=offset)

        def link(place: int) -> str:
            return request.build_absolute_uri(
                f"{request.path}?{urlencode({'limit': size, 'offset': place})}"
            )

        further = len(found) > size and offset + size <= _MOST_OFFSET
        return Response(
            {
                "results": [asdict(group) for group in found[:size]],
                "next": link(offset + size) if further else None,
                "previous": link(max(0, offset - size)) if offset else None,
            }
        )


class One(Resource):
    """One delivery that was given up."""

    parameters = {"GET": {}}
    answers = {"GET": {200: LETTER}}
    refusals = {"GET": (LetterUnknown,)}

    def get(self, request: Request, letter_id: UUID) -> Response:
        """Answer the dead letter."""
        return Response(_read(self, letter_id))


class Requeue(Resource):
    """Another try, by a person's decision."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _REQUEUE}
    answers = {"POST": {201: record(dispatch_job_id=ID)}}
    refusals = {"POST": (*_GONE, EndpointGone)}

    def post(self, request: Request, letter_id: UUID) -> Response:
        """Make a new job of it: 201 ``{dispatch_job_id}``, or 409."""
        dead_letters.find(letter_id, actor=self.actor)
        sent = self.document()
        job = dead_letters.requeue(
            letter_id,
            actor=self.actor,
            reason=sent["reason"],
            endpoint=sent.get("endpoint", "snapshot"),
            new_key=sent.get("new_key", False),
        )
        return Response({"dispatch_job_id": str(job)}, status=201)


class Dismiss(Resource):
    """The end of a letter that nobody will send again."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _DISMISS}
    answers = {"POST": {200: LETTER}}
    refusals = {"POST": _GONE}

    def post(self, request: Request, letter_id: UUID) -> Response:
        """Dismiss it: 200 with the letter, or 409."""
        dead_letters.find(letter_id, actor=self.actor)
        dead_letters.dismiss(letter_id, actor=self.actor, reason=self.document()["reason"])
        return Response(_read(self, letter_id))


class RequeueMany(Resource):
    """Another try for many dead letters."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _REQUEUE_MANY}
    answers = {"POST": {202: _STARTED}}
    refusals = {"POST": (LetterUnknown, NamespaceUnknown, EndpointGone, ledger.LedgerBusy)}

    def post(self, request: Request) -> Response:
        """Start an operation run: 202 ``{operation_run_id, matched}``; the active one where the same is under way."""
        sent = self.document()
        wanted, choices = (
            _wanted(sent),
            {name: sent[name] for name in ("endpoint", "new_key", "rate") if name in sent},
        )
        started = bulk.requeue(wanted, actor=self.actor, reason=sent["reason"], **choices)
        return Response(
            {"operation_run_id": str(started.run_id), "matched": started.matched}, status=202
        )


class DismissMany(Resource):
    """The end of many dead letters."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _DISMISS_MANY}
    answers = {"POST": {202: _STARTED}}
    refusals = {"POST": (LetterUnknown, NamespaceUnknown, ledger.LedgerBusy)}

    def post(self, request: Request) -> Response:
        """Start an operation run; as for a requeue of many."""
        sent = self.document()
        started = bulk.dismiss(
            _wanted(sent),
            actor=self.actor,
            reason=sent["reason"],
            rate=sent.get("rate", bulk.MAX_RATE),
        )
        return Response(
            {"operation_run_id": str(started.run_id), "matched": started.matched}, status=202
        )


def _read(view: Resource, letter_id: UUID) -> dict[str, Any]:
    row = (
        DeadLetterDispatch.objects.filter(view.actor.filter(), pk=letter_id)
        .annotate(fingerprint=F("job__snapshot__fingerprint"))
        .first()
    )
    if row is None:
        raise LetterUnknown(f"There is no dead letter {letter_id}.")
    return _shown(row, Configuration())


def _wanted(sent: dict[str, Any]) -> bulk.LetterSelection:
    """Return the letters that a body names. Raises BodyInvalid."""
    if "ids" in sent and "filter" in sent:
        raise _invalid("/filter", "Stands beside `ids`: send one of the two.")
    if "ids" in sent:
        return [UUID(text) for text in sent["ids"]]
    if "filter" not in sent:
        raise _invalid("", "Name `ids`, or a `filter`; `{}` is all that are open.")
    given = dict(sent["filter"])
    for name in ("created_after", "created_before"):
        if name in given:
            try:
                given[name] = queries.moment(given[name])
            except ValueError as error:
                raise _invalid(f"/filter/{name}", f"This {error}.") from None
    if "cycle_run_id" in given:
        given["cycle_run_id"] = UUID(given["cycle_run_id"])
    return bulk.LetterFilter(**given)


def _invalid(pointer: str, detail: str) -> BodyInvalid:
    return BodyInvalid(detail, errors=[{"pointer": pointer, "detail": detail}])
