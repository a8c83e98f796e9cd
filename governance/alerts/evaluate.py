"""Open and resolve alerts from what was observed, and put their messages into the outbox.

An alert and its messages are one commit: a crash leaves both or none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from governance.alerts.conditions import Condition, Look, Observation, Reader, advice, label
from governance.kernel import availability, pg_text, sql
from governance.kernel.identifiers import uuid7
from governance.models import Alert, AlertWatch
from governance.states import Phase

log = logging.getLogger(__name__)

OPEN_ALERTS = sql.load(__name__, "open_alerts")
CLOSE_ALERTS = sql.load(__name__, "close_alerts")
ADD_NOTIFICATIONS = sql.load(__name__, "add_notifications")

_LONGEST_OBJECT, _LONGEST_SUMMARY = 250, 2_000


def evaluate(readers: Mapping[Condition, Reader], channels: Sequence[str]) -> dict[str, int]:
    """Look at all conditions; return how many alerts were opened and resolved, and what failed.

    A condition that can't be read leaves its alerts as they are; the others go on.
    """
    counts = {"total": len(readers), "processed": 0, "failed": 0, "created": 0, "updated": 0}
    for condition, read in readers.items():
        try:
            with transaction.atomic():
                opened, closed = apply(condition, read(), channels)
        except DatabaseError as error:
            if availability.is_away(error):
                raise
            log.exception("The condition %s could not be read", condition)
            counts["failed"] += 1
        else:
            counts["created"] += opened
            counts["updated"] += closed
        counts["processed"] += 1
    AlertWatch.objects.update_or_create(id=1, defaults={"evaluated_at": Now()})
    return counts


def apply(condition: Condition, look: Look, channels: Sequence[str]) -> tuple[int, int]:
    """Open what is new and resolve what is over; return how many of each."""
    with transaction.atomic():
        by_object = {_cut(item.object): item for item in look.observations}
        opened = [id_ for id_, is_new in _open(condition, by_object) if is_new]
        kept = [*by_object, *look.unseen]
        closed = (
            [id_ for (id_,) in CLOSE_ALERTS.rows(condition=condition, objects=kept)]
            if look.is_complete
            else []
        )
        _notify(opened, Phase.OPENED, channels)
        _notify(closed, Phase.CLOSED, channels)
    return len(opened), len(closed)


def document(alert: Alert, phase: Phase) -> dict[str, Any]:
    """Return what a message about ``alert`` says."""
    return {
        "type": f"alert.{phase}",
        "alert_id": str(alert.pk),
        "condition": alert.condition,
        "label": label(alert.condition),
        "object": alert.object,
        "namespace": alert.namespace,
        "summary": alert.summary,
        "count": alert.count,
        "what_to_do": advice(alert.condition),
        "link": alert.link,
        "first_seen": _text(alert.first_seen_at),
        "resolved_at": _text(alert.resolved_at),
    }


def _open(condition: Condition, by_object: Mapping[str, Observation]) -> list[tuple[UUID, bool]]:
    if not by_object:
        return []
    items = list(by_object.values())
    rows: list[Any] = OPEN_ALERTS.rows(
        condition=condition,
        ids=[uuid7() for _ in items],
        objects=list(by_object),
        summaries=[pg_text.clean(item.summary)[:_LONGEST_SUMMARY] for item in items],
        namespaces=[item.namespace for item in items],
        links=[item.link for item in items],
        counts=[item.count for item in items],
    )
    return rows


def _notify(alerts: Sequence[UUID], phase: Phase, channels: Sequence[str]) -> None:
    if not alerts or not channels:
        return
    messages = [
        (alert.pk, channel, json.dumps(document(alert, phase)))
        for alert in Alert.objects.filter(pk__in=alerts)
        for channel in channels
    ]
    ADD_NOTIFICATIONS.execute(
        ids=[uuid7() for _ in messages],
        alerts=[alert for alert, _, _ in messages],
        channels=[channel for _, channel, _ in messages],
        phase=phase,
        documents=[text for _, _, text in messages],
    )


def _cut(object_: str) -> str:
    return pg_text.clean(object_)[:_LONGEST_OBJECT]


def _text(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
