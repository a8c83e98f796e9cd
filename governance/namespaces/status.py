"""How a namespace stands: running, draining, halting or quiet, and by whom; with its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now

from governance.access.actors import Actor, NamespaceUnknown
from governance.models import Namespace, Stop
from governance.namespaces import registry
from governance.states import Mode, Stopped

_HISTORY = 20
_COLUMNS = (
    "setting_mode",
    "setting_reason",
    "setting_by",
    "setting_since",
    "setting_until",
    "over",
    "certificate",
)


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """One namespace as it stands. A stop whose time has passed stands no more. ``certificate`` is that of the halt, once it is quiet."""

    namespace: str
    state: Mode
    halt: bool
    reason: str
    by: str
    since: datetime | None
    until: datetime | None
    certificate: dict[str, Any] | None

    def data(self) -> dict[str, Any]:
        """Return it as the API and the commands show it."""
        return {
            "namespace": self.namespace,
            "state": str(self.state),
            "halt": self.halt,
            "reason": self.reason,
            "by": self.by,
            "since": self.since,
            "until": self.until,
            "certificate": self.certificate,
        }


def rows(actor: Actor) -> "QuerySet[Any]":
    """Return the namespaces that ``actor`` sees, each with what ``of`` needs."""
    certificate = Stop.objects.filter(
        namespace=OuterRef("pk"), kind=Stopped.HALT, ended_at__isnull=True
    ).values("certificate")[:1]
    return Namespace.objects.filter(actor.filter("name")).annotate(
        setting_mode=F("setting__mode"),
        setting_reason=F("setting__reason"),
        setting_by=F("setting__changed_by"),
        setting_since=F("setting__since"),
        setting_until=F("setting__until"),
        over=Case(
            When(setting__until__lte=Now(), then=Value(True)),
            default=Value(False),
            output_field=BooleanField(),
        ),
        certificate=Subquery(certificate),
    )


def in_state(state: str) -> Q:
    """Return the condition that keeps ``rows`` to those that stand so."""
    if state == Mode.RUNNING:
        return (
            Q(setting__isnull=True) | Q(setting__mode=Mode.RUNNING) | Q(setting__until__lte=Now())
        )
    return Q(setting__mode=state) & (Q(setting__until__isnull=True) | Q(setting__until__gt=Now()))


def of(row: Any) -> NamespaceStatus:
    """Return how a namespace of ``rows`` stands."""
    mode, reason, by, since, until, over, certificate = (getattr(row, name) for name in _COLUMNS)
    if mode is None or mode == Mode.RUNNING or over:
        return NamespaceStatus(
            row.name, Mode.RUNNING, False, "", by or "", until if over else since, None, None
        )
    halted = Mode(mode) != Mode.DRAINING
    return NamespaceStatus(
        row.name,
        Mode(mode),
        halted,
        reason or "none given",
        by,
        since,
        until,
        certificate if halted else None,
    )


def described(row: Any) -> dict[str, Any]:
    """Return a namespace of ``rows`` as the API shows it."""
    return {
        "name": row.name,
        "external_id": row.external_id,
        "created_at": row.created_at,
        **of(row).data(),
    }


def row_of(name: str, *, actor: Actor) -> Any:
    """Return the namespace ``name`` as ``rows`` has it. Raises NamespaceUnknown, also where ``actor`` doesn't see it."""
    found = rows(actor).filter(name=name).first() if registry.is_name(name) else None
    if found is None:
        raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return found


def find(name: str, *, actor: Actor) -> NamespaceStatus:
    """Return how the namespace ``name`` stands. Raises NamespaceUnknown, also where ``actor`` doesn't see it."""
    return of(row_of(name, actor=actor))


def history(namespace_id: int | None, *, limit: int = _HISTORY) -> list[Stop]:
    """Return the newest stops of the namespace, or the pauses of everything; what stands first."""
    rows = (
        Stop.objects.filter(namespace__isnull=True)
        if namespace_id is None
        else Stop.objects.filter(namespace_id=namespace_id)
    )
    return list(rows.order_by("-id")[:limit])


def told(stops: Iterable[Stop]) -> list[dict[str, Any]]:
    """Return a history as the API shows it."""
    return [
        {
            "kind": stop.kind,
            "reason": stop.reason or "none given",
            "by": stop.started_by,
            "since": stop.since,
            "until": stop.until,
            "quiet_at": stop.quiet_at,
            "ended_at": stop.ended_at,
            "ended_by": stop.ended_by,
            "ended_reason": stop.ended_reason,
            "certificate": stop.certificate,
        }
        for stop in stops
    ]
