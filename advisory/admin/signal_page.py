"""The page of one signal, and the button that computes new ones."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from advisory.admin import evidence
from advisory.autonomy import computing
from advisory.models import AdvisorySignal
from advisory.proposals import reading
from advisory.signals import compute
from advisory.states import SignalKind
from advisory.statistics import rounding
from governance.access.actors import Actor
from governance.console import pages
from governance.console.base import actor_of
from orbit.errors import ProfileUnknown
from orbit.models import CycleRun

_LIST = "admin:advisory_advisorysignal_changelist"
_LISTED = 10
_CYCLES = {
    "not_succeeded": "Cycles that didn't succeed",
    "slowest": "The slowest successful cycles",
}
MEANINGS = {
    SignalKind.LOW: "If nothing had become worse, numbers like these would come up with a "
    "probability of at most {doubt}.",
    SignalKind.ELEVATED: "If nothing had become better, numbers like these would come up with a "
    "probability of at most {doubt}.",
    SignalKind.STABLE: "If something had changed enough to count, numbers like these would come "
    "up with a probability of at most {doubt}.",
    SignalKind.INSUFFICIENT: "Too few cycles ended to say anything about the "
    "profile: this is not a bad sign.",
}


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
        **shown(signal, actor),
    )


def shown(signal: AdvisorySignal, actor: Actor) -> dict[str, Any]:
    """Return what a page shows of a signal."""
    return {
        "plot": evidence.plot(signal.evidence),
        "evidence_rows": evidence.rows(signal.evidence),
        "example_cycles": _cycles(signal.evidence, actor),
        "confidence": confidence(signal),
        "meaning": MEANINGS[SignalKind(signal.signal)].format(doubt=_doubt(signal.confidence)),
    }


def confidence(signal: AdvisorySignal) -> str:
    """Return the confidence, never rounded up; "-" if there is none."""
    if signal.signal == SignalKind.INSUFFICIENT:
        return "-"
    return rounding.down(signal.confidence, 4)


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
    try:
        computed = computing.compute_and_act(
            actor=actor, profile_id=request.POST.get("profile_id", "").strip() or None
        )
    except ProfileUnknown as unknown:
        raise Http404 from unknown
    messages.success(request, _told(computed.computation.signals))
    return HttpResponseRedirect(reverse(_LIST))


def _told(signals: Any) -> str:
    counts: dict[str, int] = {}
    for signal in signals:
        counts[signal.signal] = counts.get(signal.signal, 0) + 1
    each = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))
    number = len(signals)
    return f"{number} signal{'' if number == 1 else 's'} computed{': ' if each else ''}{each}."


def _cycles(numbers: Mapping[str, Any], actor: Actor) -> list[tuple[str, list[CycleRun]]]:
    """Return the cycles that the evidence names, and that are still there."""
    named = numbers.get("cycles", {})
    ids = [cycle_id for kind in _CYCLES for cycle_id in named.get(kind, [])]
    if not ids:
        return []
    rows = CycleRun.objects.filter(actor.filter(), pk__in=ids)
    cycles = {str(row.pk): row for row in rows.only("id", "status", "finished_at")}
    listed = [
        (words, [cycles[cycle_id] for cycle_id in named.get(kind, []) if cycle_id in cycles])
        for kind, words in _CYCLES.items()
    ]
    return [(words, cycles_of_kind) for words, cycles_of_kind in listed if cycles_of_kind]


def _doubt(confidence: float) -> str:
    doubt = 1 - confidence
    return "0.01 %" if doubt < 0.0001 else f"{100 * doubt:.2g} %"
