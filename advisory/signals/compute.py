"""Compute signals: measure, assess, store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from advisory.models import AdvisorySignal, SignalComputation
from advisory.signals import assess, evidence, examples, windows
from advisory.signals.assess import Assessment
from advisory.signals.measures import Measures, measure
from advisory.signals.windows import Window
from advisory.states import SignalKind
from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7
from orbit.profiles import visible
from orbit.profiles.kinds import PROFILE

#: Either of these scopes is needed to compute signals.
SCOPES = (Scope.OPERATE, Scope.REVIEW)
#: So many rows are sent at once.
_BATCH = 200
#: So many profiles that are not configured are named.
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Computation:
    """A stored computation with its signals, by profile and namespace."""

    row: SignalComputation
    signals: Sequence[AdvisorySignal]


def compute(
    *,
    actor: Actor,
    profile_id: str | None = None,
    window: Window | None = None,
    may_take_long: bool = False,
) -> Computation:
    """Compute and store the signals of one profile, or of all that ``actor`` sees.

    There is one for each namespace that a profile ran in or is configured for. False discoveries
    are controlled over all of them. Raises ProfileUnknown, and NotAllowed without a scope of
    ``SCOPES``. ``window`` is of ``windows.choose``; None is the usual one.
    ``may_take_long``: telemetry may be read for ten minutes.
    """
    actor.require(*SCOPES)
    if profile_id is not None:
        PROFILE.find(profile_id, actor=actor, document=False)
    chosen = window or windows.choose()
    measured = measure(
        chosen,
        profile_id=profile_id,
        namespaces=actor.namespaces,
        may_take_long=may_take_long,
    )
    items, unknown = _of_configured(measured.measures, actor=actor, profile_id=profile_id)
    assessments = assess.assess(items)
    cycles = examples.find(
        [
            (item.measures.profile_id, item.measures.namespace)
            for item in assessments
            if item.signal == SignalKind.LOW and item.measures.namespace is not None
        ],
        chosen,
        may_take_long=may_take_long,
    )
    row = SignalComputation(
        id=uuid7(),
        baseline_from=chosen.baseline_start,
        window_from=chosen.start,
        window_to=chosen.end,
        actor=actor.name,
        signals=len(assessments),
        excluded={**measured.excluded, **unknown},
    )
    signals = [
        _signal(
            row,
            item,
            chosen,
            cycles.get((item.measures.profile_id, str(item.measures.namespace)), {}),
        )
        for item in assessments
    ]
    _store(row, signals, actor=actor, profile_id=profile_id)
    return Computation(row, signals)


def _of_configured(
    measures: Iterable[Measures], *, actor: Actor, profile_id: str | None
) -> tuple[list[Measures], dict[str, Any]]:
    """Return the measures of configured profiles, and which others were left out.

    A profile without a measure gets an empty one for each namespace of its run profiles.
    """
    profiles = visible.profiles(actor)
    run_profiles = visible.run_profiles(actor)
    if profile_id is not None:
        profiles = profiles.filter(profile_id=profile_id)
        run_profiles = run_profiles.filter(profile__profile_id=profile_id)
    configured = set(profiles.values_list("profile_id", flat=True))
    pairs: dict[tuple[str, str | None], Measures] = {
        (profile, str(namespace)): Measures(profile, str(namespace))
        for profile, namespace in run_profiles.values_list(
            "profile__profile_id", "namespace"
        ).distinct()
        if profile in configured
    }
    unknown = set()
    for item in measures:
        if item.profile_id in configured:
            pairs[item.profile_id, item.namespace] = item
        else:
            unknown.add(item.profile_id)
    ran = {profile for profile, _ in pairs}
    pairs |= {(profile, None): Measures(profile, None) for profile in configured - ran}
    items = sorted(pairs.values(), key=lambda item: (item.profile_id, item.namespace or ""))
    if not unknown:
        return items, {}
    return items, {
        "profiles_not_configured": len(unknown),
        "profiles_not_configured_named": sorted(unknown)[:_MOST_NAMED],
    }


def _signal(
    row: SignalComputation,
    item: Assessment,
    window: Window,
    cycles: dict[str, list[str]],
) -> AdvisorySignal:
    return AdvisorySignal(
        id=uuid7(),
        computation=row,
        profile_id=item.measures.profile_id,
        namespace=item.measures.namespace,
        signal=str(item.signal),
        confidence=min(1.0, max(0.0, item.confidence)),
        method=evidence.method(item),
        window_from=window.start,
        window_to=window.end,
        evidence=evidence.evidence(item, window, cycles),
        recommendation=evidence.recommendation(item),
    )


def _store(
    row: SignalComputation,
    signals: Sequence[AdvisorySignal],
    *,
    actor: Actor,
    profile_id: str | None,
) -> None:
    counts: dict[str, int] = {}
    for signal in signals:
        counts[signal.signal] = counts.get(signal.signal, 0) + 1
    namespaces = {signal.namespace for signal in signals}
    with audit.transaction():
        row.save(force_insert=True)
        AdvisorySignal.objects.bulk_create(signals, batch_size=_BATCH)
        audit.record(
            Action.SIGNALS_COMPUTED,
            actor=actor.name,
            object_id=str(row.pk),
            namespace=namespaces.pop() if len(namespaces) == 1 else None,
            after={
                "profile_id": profile_id,
                "from": row.window_from.isoformat(),
                "to": row.window_to.isoformat(),
                "signals": counts,
            },
        )
