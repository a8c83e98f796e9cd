"""The engine: proposals for a profile whose newest signals say that it performs low."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from advisory.models import AdvisorySignal
from advisory.proposals import create, facts, results, rules, sentences
from advisory.proposals.create import Draft, Made
from advisory.proposals.patches import PatchInvalid
from advisory.proposals.rules import Case, Rule, Suggestion
from advisory.signals import compute, reading
from advisory.states import SignalKind
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.kernel import clock
from orbit.models import Profile, RunProfile
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyRow
from orbit.states import ProfileState

#: Signals that are older are computed again: cycles may have ended since.
FRESH = timedelta(minutes=1)
#: Of a profile in a namespace.
_MOST_RUN_PROFILES = 100


@dataclass(frozen=True, slots=True)
class Generated:
    """The proposals for a profile, new or pending already; without any, why."""

    made: Sequence[Made]
    reason: str = ""


def generate(profile_id: str, *, signals: Sequence[AdvisorySignal], actor: Actor) -> Generated:
    """Make the engine's proposals for a profile: one or more if a signal says it performs low.

    Equal pending proposals are returned, not made twice. Raises ProfileUnknown, NotAllowed, and
    Superseded if an edit came between.
    """
    _ensure_allowed(actor)
    profile = PROFILE.find(profile_id, actor=actor)
    if profile.state == ProfileState.DISABLED:
        return Generated([], "The profile is disabled already.")
    low = [signal for signal in signals if signal.signal == SignalKind.LOW]
    if not low:
        kinds = ", ".join(sorted({signal.signal for signal in signals})) or "none"
        return Generated([], f"No signal says low_performance: {kinds}.")
    # The same change may help in several namespaces.
    drafts: dict[str, Draft] = {}
    for signal in low:
        for draft in _drafts(profile, signal):
            drafts.setdefault(draft.fingerprint, draft)
    return Generated(create.store(list(drafts.values()), author=SYSTEM, requested_by=actor))


def recent(profile_id: str, *, actor: Actor) -> list[AdvisorySignal]:
    """Return the profile's newest signals of the last minute, if one of them says it performs low.

    One for each namespace that ``actor`` sees, of windows that ended in this minute. Empty:
    compute new ones. Raises ProfileUnknown and NotAllowed.
    """
    _ensure_allowed(actor)
    PROFILE.find(profile_id, actor=actor, document=False)
    since = clock.now() - FRESH
    rows = reading.visible_to(actor).filter(
        profile_id=profile_id, created_at__gt=since, window_to__gt=since
    )
    newest = rows.order_by("namespace", "-created_at", "-id").distinct("namespace")
    signals = list(newest.select_related("computation"))
    # Others may say so by now: it takes 10 ended cycles, which can be those of a few seconds.
    return signals if any(signal.signal == SignalKind.LOW for signal in signals) else []


def _ensure_allowed(actor: Actor) -> None:
    if not any(actor.may(scope) for scope in compute.SCOPES):
        raise NotAllowed(f"This needs the permission {' or '.join(compute.SCOPES)}.")


def _drafts(profile: Profile, signal: AdvisorySignal) -> list[Draft]:
    case = _case(profile, signal)
    drafts, misfits = _fitting(case, rules.RULES)
    if drafts:
        return drafts
    return _fitting(case, [rules.last_resort(misfits)])[0]


def _case(profile: Profile, signal: AdvisorySignal) -> Case:
    run_profiles = RunProfile.objects.filter(
        profile=profile, namespace__name=signal.namespace, hidden=False, state=ProfileState.ENABLED
    )
    return Case(
        profile,
        list(
            run_profiles.select_related("profile").order_by("run_profile_id")[:_MOST_RUN_PROFILES]
        ),
        signal,
        facts.read(
            profile.profile_id,
            str(signal.namespace),
            revision=profile.revision,
            since=signal.window_from,
        ),
    )


def _fitting(case: Case, tried: Iterable[Rule]) -> tuple[list[Draft], list[str]]:
    """Return what the rules suggest and the documents allow, and the rules of which they don't."""
    drafts, misfits = [], []
    for rule in tried:
        for suggestion in rule.suggest(case):
            row = suggestion.row
            kind = PROFILE if isinstance(row, Profile) else RUN_PROFILE
            try:
                results.result(kind, str(row), row.document, suggestion.patch)
            except PatchInvalid:  # the document has other problems: they come first
                misfits.append(rule.name)
                continue
            drafts.append(_draft(case, rule, suggestion))
    return drafts, misfits


def _draft(case: Case, rule: Rule, suggestion: Suggestion) -> Draft:
    signal = case.signal
    row: AnyRow = suggestion.row
    return Draft(
        PROFILE if isinstance(row, Profile) else RUN_PROFILE,
        row,
        suggestion.patch,
        title=suggestion.title,
        rationale=sentences.rationale(signal, suggestion.reason),
        namespace=signal.namespace,
        evidence={
            "signal": _shown(signal),
            "rule": rule.name,
            "cycles": case.facts.all_cycles,
            "numbers": suggestion.evidence,
        },
        forecast=suggestion.forecast,
        rule=rule.name,
        signal=UUID(str(signal.pk)),
    )


def _shown(signal: AdvisorySignal) -> dict[str, object]:
    """Return what a proposal repeats of its signal."""
    return {
        "id": str(signal.pk),
        "signal": signal.signal,
        "confidence": signal.confidence,
        "method": signal.method,
        **{
            name: signal.evidence[name]
            for name in ("window", "baseline", "latency_ms", "deliveries", "cycles")
            if name in signal.evidence
        },
    }
