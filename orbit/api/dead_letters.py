"""``/dead-letters``: list, group, read, requeue, dismiss."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.operations import ledger
from governance.rest import links, pages, parsing, queries
from governance.rest.fields import Fields, computed, field, page_of
from governance.rest.parsing import NAME
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, WHOLE, maybe, one_of, record
from governance.rest.schemas import UUID as ID
from orbit.api.schemas import LETTER
from orbit.api.selection import Selection
from orbit.dispatch import bulk, dead_letters, error_groups
from orbit.dispatch.endpoint_drift import ConfiguredEndpoints, EndpointDrift
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.records import pruned
from orbit.states import Letter

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "status": queries.one_of(Letter),
    "endpoint_key": queries.text,
    "group": queries.text.on("error_group"),
    "reason": queries.text,
    "cycle_run_id": queries.identifier.on("cycle_id"),
}
#: Groups have no key to page by, so an offset pages them, up to here.
_MAX_OFFSET = 10_000
_SELECTION = Selection(
    bulk.LetterFilter,
    {
        "namespace": NAME,
        "endpoint_key": NAME,
        "group": NAME,
        "reason": NAME,
        "cycle_run_id": parsing.UUID,
        "created_after": parsing.TIME,
        "created_before": parsing.TIME,
    },
    max_ids=bulk.MAX_IDS,
    max_rate=bulk.MAX_RATE,
    everything="all open dead letters",
)
#: How to send again: to the endpoint as it was or is now, under the same delivery id or a new one.
_CHOICES = {"endpoint": {"enum": ["snapshot", "current"]}, "new_key": {"type": "boolean"}}
DEAD_LETTER = Fields(
    "DeadLetter",
    **LETTER.fields,
    group=field(TEXT, "error_group"),
    error_pattern=TEXT,
    endpoint_now=computed(maybe(one_of(EndpointDrift))),
)
_GROUP = Fields(
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
STARTED = Fields(operation_run_id=field(ID, "run_id"), matched=WHOLE)
_RESOLVED = (LetterUnknown, AlreadyRequeued, AlreadyResolved)


class DeadLetterList(Resource):
    @operation(
        summary="List dead letters",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(DEAD_LETTER)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. `endpoint_now` says how the endpoint is configured today."""
        letters = _letters(self.actor).filter(**queries.filters(self.query, _FILTERS))
        now = ConfiguredEndpoints()
        return pages.respond(
            request,
            letters,
            lambda letter: _document(letter, now),
            query=self.query,
            actor=self.actor,
        )


class DeadLetterGroups(Resource):
    @operation(
        summary="List groups of dead letters",
        query={"limit": pages.PARAMETERS["limit"], "offset": queries.number(0, _MAX_OFFSET)},
        answers={200: page_of(_GROUP)},
    )
    def get(self, request: Request) -> Response:
        """Open dead letters by cause, the largest group first. Counts the newest 100,000."""
        size, offset = self.query.get("limit", pages.DEFAULT), self.query.get("offset", 0)
        groups = error_groups.largest(self.actor, limit=size + 1, offset=offset)

        def link(start: int) -> str:
            parameters = urlencode({"limit": size, "offset": start})
            return links.whole(request, f"{request.path}?{parameters}")

        has_next = len(groups) > size and offset + size <= _MAX_OFFSET
        return Response(
            {
                "results": [_GROUP.of(group) for group in groups[:size]],
                "next": link(offset + size) if has_next else None,
                "previous": link(max(0, offset - size)) if offset else None,
            }
        )


class DeadLetterDetail(Resource):
    @operation(
        summary="Get a dead letter",
        answers={200: DEAD_LETTER},
        refusals=(LetterUnknown,),
    )
    def get(self, request: Request, letter_id: UUID) -> Response:
        """A delivery that was given up, with its last error."""
        return Response(_read(letter_id, self.actor))


class DeadLetterRequeue(Resource):
    @operation(
        summary="Requeue a dead letter",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"reason": parsing.REASON, **_CHOICES}, required=("reason",)),
        answers={201: record(dispatch_job_id=ID)},
        refusals=(*_RESOLVED, EndpointGone),
    )
    def post(self, request: Request, letter_id: UUID) -> Response:
        """Send it again as a new dispatch job.

        By default to the endpoint as it was, under the same delivery id. `endpoint: current` takes
        today's configuration, `new_key` a new delivery id.
        """
        dead_letters.find(letter_id, actor=self.actor)
        body = self.body()
        job = dead_letters.requeue(
            letter_id,
            actor=self.actor,
            reason=body["reason"],
            endpoint=body.get("endpoint", "snapshot"),
            new_key=body.get("new_key", False),
        )
        return Response({"dispatch_job_id": job}, status=201)


class DeadLetterDismiss(Resource):
    @operation(
        summary="Dismiss a dead letter",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={200: DEAD_LETTER},
        refusals=_RESOLVED,
    )
    def post(self, request: Request, letter_id: UUID) -> Response:
        """Close it without sending it again."""
        dead_letters.find(letter_id, actor=self.actor)
        dead_letters.dismiss(letter_id, actor=self.actor, reason=self.body()["reason"])
        return Response(_read(letter_id, self.actor))


class DeadLetterBulkRequeue(Resource):
    @operation(
        summary="Requeue dead letters",
        scope=Scope.OPERATE,
        body=parsing.closed_object({**_SELECTION.members, **_CHOICES}, required=("reason",)),
        answers={202: STARTED},
        refusals=(LetterUnknown, NamespaceUnknown, EndpointGone, ledger.LedgerBusy),
    )
    def post(self, request: Request) -> Response:
        """Start an operation run over `ids` or a `filter`, or return the active one."""
        body = self.body()
        choices = {name: body[name] for name in ("endpoint", "new_key", "rate") if name in body}
        started = bulk.requeue(
            _SELECTION.read(body), actor=self.actor, reason=body["reason"], **choices
        )
        return Response(STARTED.of(started), status=202)


class DeadLetterBulkDismiss(Resource):
    @operation(
        summary="Dismiss dead letters",
        scope=Scope.OPERATE,
        body=parsing.closed_object(_SELECTION.members, required=("reason",)),
        answers={202: STARTED},
        refusals=(LetterUnknown, NamespaceUnknown, ledger.LedgerBusy),
    )
    def post(self, request: Request) -> Response:
        """Start an operation run over `ids` or a `filter`, or return the active one."""
        body = self.body()
        started = bulk.dismiss(
            _SELECTION.read(body),
            actor=self.actor,
            reason=body["reason"],
            # A dismissal sends nothing, so it needs no careful rate.
            rate=body.get("rate", bulk.MAX_RATE),
        )
        return Response(STARTED.of(started), status=202)


def _letters(actor: Actor) -> "QuerySet[Any]":
    return DeadLetterDispatch.objects.filter(actor.filter()).annotate(
        fingerprint=F("job__snapshot__fingerprint")
    )


def _read(letter_id: UUID, actor: Actor) -> dict[str, object]:
    letter = _letters(actor).filter(pk=letter_id).first()
    if letter is None:
        raise LetterUnknown(pruned.unknown("dead letter", letter_id))
    return _document(letter, ConfiguredEndpoints())


def _document(letter: Any, now: ConfiguredEndpoints) -> dict[str, object]:
    # For a closed one today's configuration doesn't matter.
    is_open = letter.status == Letter.OPEN
    drift = now.compare(letter.endpoint_key, letter.fingerprint) if is_open else None
    return DEAD_LETTER.of(letter, endpoint_now=drift)
