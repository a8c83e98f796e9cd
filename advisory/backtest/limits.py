"""The sentences that say what a backtest can't tell: those that apply, and no others."""

from collections.abc import Sequence

from advisory.backtest.changes import Changes
from advisory.backtest.record import Base, Record
from advisory.backtest.replay import ReplayedCycle
from advisory.backtest.ticks import MOST_TICKS, ComparedTicks
from advisory.backtest.unknowns import Unknowns, cycles
from advisory.models import StrategyProposal
from orbit.profiles.schema import Problems

_LEFT_OUT = {
    "cancelled": "were cancelled",
    "rerun": "are re-runs, which repeat only a part of another cycle",
    "given_up": "were given up, so that their record isn't whole",
}
_MOST_PROBLEMS = 3


def no_base(proposal: StrategyProposal) -> str:
    """Return the sentence for a proposal whose document is gone."""
    return (
        f"There is no revision {proposal.base_revision} of {_name(proposal)} any more, so there is "
        "nothing to compare."
    )


def no_longer_applies(proposal: StrategyProposal, detail: str) -> str:
    """Return the sentence for a patch that can't be applied."""
    return (
        f"The patch doesn't apply to revision {proposal.base_revision} of {_name(proposal)}, so "
        f"nothing was compared. {detail}"
    )


def breaks_schema(problems: Problems) -> str:
    """Return the sentence for a document that could not be saved."""
    listed = "; ".join(
        f"{problem['pointer'] or 'the whole'}: {problem['detail']}"
        for problem in problems[:_MOST_PROBLEMS]
    )
    return f"The document with this patch could not be saved, so nothing was compared. {listed}"


def sentences(
    *,
    proposal: StrategyProposal,
    base: Base,
    patch: Changes,
    read: Record,
    ticks: ComparedTicks | None,
    replayed: Sequence[ReplayedCycle],
) -> list[str]:
    """Return what the record can't say about this patch and this record."""
    return [
        *_of_document(proposal, base, patch),
        *_of_record(proposal, read),
        *(_of_ticks(patch, ticks, read) if read.cycles else ()),
        *(_of_targets(patch, read) if read.cycles else ()),
        *_of_cycles(replayed),
    ]


def _of_document(proposal: StrategyProposal, base: Base, patch: Changes) -> list[str]:
    facts = []
    if base.current_revision != proposal.base_revision:
        facts.append(
            f"{_name(proposal)} is at revision {base.current_revision}, and the patch was made "
            f"against {proposal.base_revision}: it can't be approved, and cycles since then may "
            "have run otherwise."
        )
    if base.hidden:
        facts.append(
            f"{_name(proposal)} is hidden: no cycle starts, whether or not the patch is approved."
        )
    if patch.enabled:
        facts.append(
            "Cycles that were not started while it was disabled are not on record, so what "
            "enabling it brings isn't on record."
        )
    return facts


def _of_record(proposal: StrategyProposal, read: Record) -> list[str]:
    facts = []
    total = len(read.cycles) + sum(read.left_out.values())
    if read.hidden:
        facts.append("Cycles in namespaces that you may not see are left out.")
    if not total:
        facts.append(
            f"No ended cycle of {_name(proposal)} is on record, so nothing can be compared."
        )
    facts += [
        f"{number} of {cycles(total)} {_LEFT_OUT[reason]}: left out."
        for reason, number in sorted(read.left_out.items())
    ]
    if read.other_revision:
        facts.append(
            f"{read.other_revision} of {cycles(len(read.cycles))} ran under another revision than "
            f"{proposal.base_revision}. They are compared with what they really ran with."
        )
    return facts


def _of_ticks(patch: Changes, ticks: ComparedTicks | None, read: Record) -> list[str]:
    facts = []
    if patch.missed:
        facts.append(
            "How missed ticks are made up for matters only while no cluster runs. What that would "
            "have started isn't compared."
        )
    if ticks is None or patch.cron is None:
        return facts
    if ticks.too_many:
        facts.append(
            "The new cron fires too often in this time to be compared tick by tick. "
            "Ask for fewer cycles."
        )
    elif not patch.cron.cron:
        facts.append(
            "Without a cron of its own the run profile is started with all others. When that would "
            "have been isn't compared."
        )
    elif ticks.ticks.new > ticks.ticks.gone:
        more = ticks.ticks.new - ticks.ticks.gone
        facts.append(
            f"{more:,} more tick{'s' if more != 1 else ''} would have been due. What their cycles "
            "would have done isn't on record."
        )
    elif ticks.fewer and ticks.ticks.new:
        facts.append(
            f"{ticks.fewer:,} tick{'s' if ticks.fewer != 1 else ''} fewer would have been due. "
            "Which of the cycles would not have run isn't on record."
        )
    if ticks.ticks.recorded >= MOST_TICKS:
        facts.append(f"Only ticks since {ticks.since:%Y-%m-%d %H:%M} UTC are compared.")
    if ticks.ticks.gone and ticks.ticks.new:
        facts.append(
            "At another time the receivers and the rest of the machine may have been more or less "
            "busy: outcomes are taken to be the same."
        )
    return facts


def _of_targets(patch: Changes, read: Record) -> list[str]:
    if patch.targets is None:
        return []
    used = {key for cycle in read.cycles for key in cycle.settings.targets}
    return [
        f"The record holds no cycle with the target {key}: nothing is known of how it answers."
        for key in patch.targets
        if key not in used
    ]


def _of_cycles(replayed: Sequence[ReplayedCycle]) -> list[str]:
    unknowns = Unknowns()
    for cycle in replayed:
        unknowns.add(cycle.unknowns)
    return unknowns.sentences(len(replayed))


def _name(proposal: StrategyProposal) -> str:
    if proposal.run_profile_id is None:
        return f"the profile {proposal.profile_id}"
    return f"the run profile {proposal.run_profile_id}"
