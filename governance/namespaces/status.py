"""The status of a namespace, and its past stops."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from governance.access.actors import Actor, NamespaceUnknown
from governance.kernel import reasons
from governance.models import Namespace, Stop
from governance.namespaces import registry
from governance.states import Mode, Stopped

_HISTORY = 20


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """The status of a namespace; an expired stop doesn't count."""

    namespace: str
    state: Mode
    halt: bool
    reason: str
    by: str
    since: datetime | None
    until: datetime | None
    certificate: dict[str, Any] | None  # of the halt, once the namespace is quiet

    @property
    def sentence(self) -> str:
        """The state in words, with its end in the reader's zone."""
        ends = self.until and timezone.localtime(self.until)
        until = f" until {ends:%Y-%m-%d %H:%M:%S %Z}" if ends else ""
        return f"{self.namespace} is {self.state}{until}."

    def to_dict(self) -> dict[str, Any]:
        """Return what the commands show."""
        return {**asdict(self), "state": str(self.state)}


def rows(actor: Actor) -> "QuerySet[Any]":
    """Return the namespaces that ``actor`` sees, annotated for ``of``."""
    certificate = Stop.objects.filter(
        namespace=OuterRef("pk"), kind=Stopped.HALT, ended_at__isnull=True
    ).values("certificate")[:1]
    return Namespace.objects.filter(actor.filter("name")).annotate(
        setting_mode=F("setting__mode"),
        setting_reason=F("setting__reason"),
        setting_by=F("setting__changed_by"),
        setting_since=F("setting__since"),
        setting_until=F("setting__until"),
        expired=Case(
            When(setting__until__lte=Now(), then=Value(True)),
            default=Value(False),
            output_field=BooleanField(),
        ),
        certificate=Subquery(certificate),
    )


def in_state(state: str) -> Q:
    """Return the condition for ``rows`` in ``state``."""
    if state == Mode.RUNNING:
        return (
            Q(setting__isnull=True) | Q(setting__mode=Mode.RUNNING) | Q(setting__until__lte=Now())
        )
    return Q(setting__mode=state) & (Q(setting__until__isnull=True) | Q(setting__until__gt=Now()))


def of(row: Any) -> NamespaceStatus:
    """Return the status of a row of ``rows``."""
    if row.setting_mode is None or row.setting_mode == Mode.RUNNING or row.expired:
        return NamespaceStatus(
            namespace=row.name,
            state=Mode.RUNNING,
            halt=False,
            reason="",
            by=row.setting_by or "",
            # After an expired stop it runs since that stop's end.
            since=row.setting_until if row.expired else row.setting_since,
            until=None,
            certificate=None,
        )
    state = Mode(row.setting_mode)
    return NamespaceStatus(
        namespace=row.name,
        state=state,
        halt=state != Mode.DRAINING,
        reason=row.setting_reason or reasons.NO_REASON,
        by=row.setting_by,
        since=row.setting_since,
        until=row.setting_until,
        certificate=row.certificate if state != Mode.DRAINING else None,
    )


def row_of(name: str, *, actor: Actor) -> Any:
    """Return the row of ``name``. Raises NamespaceUnknown, also if it's hidden."""
    row = rows(actor).filter(name=name).first() if registry.is_name(name) else None
    if row is None:
        raise NamespaceUnknown(f"There is no namespace {name!r}.")
    return row


def find(name: str, *, actor: Actor) -> NamespaceStatus:
    """Return the status of ``name``. Raises NamespaceUnknown, also if it's hidden."""
    return of(row_of(name, actor=actor))


def history(namespace_id: int | None, *, limit: int = _HISTORY) -> list[Stop]:
    """Return the stops of a namespace (None: the pauses), newest first."""
    rows = (
        Stop.objects.filter(namespace__isnull=True)
        if namespace_id is None
        else Stop.objects.filter(namespace_id=namespace_id)
    )
    return list(rows.order_by("-id")[:limit])
