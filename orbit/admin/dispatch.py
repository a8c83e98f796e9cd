"""Deliveries: jobs, attempts, dead letters with Requeue, endpoints' snapshots."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from governance.access.roles import Power
from governance.console import display, filters
from governance.console.actions import ReasonedAdmin, ReasonForm, reasoned_action
from governance.console.base import ReadOnlyAdmin, actor_of
from orbit.dispatch import dead_letters
from orbit.models import DeadLetterDispatch, DeliveryReceipt, DispatchJob, EndpointSnapshot
from orbit.states import Attempt, Job, Letter


class _Stateful(ReadOnlyAdmin):
    @admin.display(description="status")
    def status_shown(self, row: Any) -> str:
        """The status as a badge."""
        return display.badge(row.status)


@admin.register(DispatchJob)
class DispatchJobAdmin(_Stateful):
    """One item to one endpoint each."""

    namespace_path = "cycle__namespace"
    list_display = ("id", "status_shown", "endpoint_key", "cycle_id", "attempts", "next_attempt_at", "last_error", "created_at")
    list_filter = (filters.choice("status", Job),)
    search_fields = ("id", "delivery_id")
    links = ("cycle", "cycle__id__exact")


@admin.register(DeliveryReceipt)
class DeliveryReceiptAdmin(_Stateful):
    """One request on the wire each."""

    namespace_path = "job__cycle__namespace"
    list_display = ("id", "job_id", "attempt", "status_shown", "status_code", "error_class", "latency_ms", "started_at")
    list_filter = (filters.choice("status", Attempt),)
    search_fields = ("id",)
    links = ("job", "job__id__exact")


class RequeueForm(ReasonForm):
    """How to send it again."""

    endpoint = forms.ChoiceField(
        label="Endpoint", choices=[("snapshot", "as it was when the delivery was made"), ("current", "as it is configured now")], initial="snapshot"
    )
    new_key = forms.BooleanField(label="New key: the receiver takes it for another delivery, and may act twice", required=False)


@admin.register(DeadLetterDispatch)
class DeadLetterDispatchAdmin(_Stateful, ReasonedAdmin):
    """Deliveries that were given up; only a person sends one again."""

    namespace_path = "namespace"
    list_display = ("id", "status_shown", "endpoint_key", "last_error", "created_at", "namespace", "reason", "attempts")
    list_filter = (filters.NamespaceFilter, filters.choice("status", Letter))
    search_fields = ("id", "job", "cycle")
    links = ("cycle", "cycle__id__exact", "endpoint_key", "endpoint_key__exact")

    @reasoned_action(
        label="Requeue",
        power=Power.OPERATE,
        explains="A new delivery job is made of it, under the same delivery id: a receiver that did act the first time won't act twice.",
        form=RequeueForm,
        when=lambda letter: letter.status == Letter.OPEN,
    )
    def requeue(self, request: HttpRequest, letter: DeadLetterDispatch, reason: str, endpoint: Any, new_key: bool) -> str:
        """Send it again."""
        job = dead_letters.requeue(letter.pk, actor=actor_of(request), reason=reason, endpoint=endpoint, new_key=new_key)
        return f"Dead letter {letter.pk} requeued as job {job}."


@admin.register(EndpointSnapshot)
class EndpointSnapshotAdmin(ReadOnlyAdmin):
    """Endpoints as jobs hold them: sealed, only the host is in clear."""

    list_display = ("endpoint_key", "host", "created_at")
    hidden = ("fingerprint",)
