"""The page of one signal, and the button that computes new ones."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from advisory.autonomy import computing
from advisory.models import AdvisorySignal
from advisory.proposals import reading
from advisory.signals import compute, in_words
from governance.access.actors import Actor
from governance.console import pages
from governance.console.base import actor_of

_LIST = "admin:advisory_advisorysignal_changelist"
_LISTED = 10


def page(request: HttpRequest, signal: AdvisorySignal) -> HttpResponse:
    """Show ``signal``, which the user sees."""
    actor = actor_of(request)
    proposals = reading.visible(actor).filter(signal=signal).order_by("-created_at", "-id")
    return pages.draw(
        request,
        "admin/advisory/signal.html",
        title=f"{signal.profile_id}: {signal.signal.replace('_', ' ')}",
        opts=AdvisorySignal._meta,
        signal=signal,
        proposals=list(proposals.only("id", "title", "state")[:_LISTED]),
        may_compute=may_compute(actor),
        **in_words.parts(signal, actor=actor),
    )


def may_compute(actor: Actor) -> bool:
    """Return whether ``actor`` has one of the permissions to compute signals."""
    return any(actor.may(scope) for scope in compute.SCOPES)


def compute_signals(request: HttpRequest) -> HttpResponse:
    """Compute the signals of all profiles, or of ``profile_id``; lead to the list."""
    actor = actor_of(request)
    if not may_compute(actor):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseRedirect(reverse(_LIST))
    computed = computing.compute_and_act(
        actor=actor, profile_id=request.POST.get("profile_id", "").strip() or None
    )
    messages.success(request, in_words.computed(computed.computation.signals))
    return HttpResponseRedirect(reverse(_LIST))
