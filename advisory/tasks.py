"""The operation runs ``advisory.signals`` and ``ops.expire_proposals``.

Signals are computed for all profiles, once per UTC day.

Its slices: compute; make proposals for profiles that perform low, some at a time; let the policies
of autonomy act. A slice that dies never happened.
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from advisory.autonomy import computing
from advisory.decisions import expiry
from advisory.models import AdvisorySignal
from advisory.proposals import generate
from advisory.signals import compute
from advisory.states import SignalKind
from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.kernel.errors import OrbitError
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome

log = logging.getLogger(__name__)

#: The type of the operation run.
TYPE = "advisory.signals"
#: So many profiles get their proposals in one slice.
PROFILES = 20
#: So many actions of autonomy are done in one slice, whose transaction locks out starts of cycles.
ACTIONS = 5
#: So many proposals expire in one slice: each has an audit entry.
EXPIRIES = 100

#: For the main database's transaction, which waits while telemetry is read from its own.
ALLOW_LONG = sql.load(compute.__name__, "allow_long")


def run_slice(slice_: Slice) -> datetime | None:
    """Do the next slice. Return when the one after it is due, None at the end."""
    run, progress = slice_.run, dict(slice_.run.progress)
    ALLOW_LONG.rows()
    if "computation" not in progress:
        computation = compute.compute(actor=SYSTEM, may_take_long=True)
        count = len(computation.signals)
        progress.update(computation=str(computation.row.pk), total=count, processed=count)
    elif not progress.get("proposed"):
        _propose(progress)
    else:
        # The slice before has committed what the policies read.
        evaluation = computing.act_on(UUID(progress["computation"]), most=ACTIONS)
        if evaluation.more:
            return ledger.save_progress(run, progress, wait=0.0)
        if evaluation.problem:
            progress["note"] = evaluation.problem
        ledger.complete(run, Outcome.SUCCEEDED, ledger.counts_in(progress), progress=progress)
        return None
    return ledger.save_progress(run, progress, wait=0.0)


def expire_proposals(slice_: Slice) -> datetime | None:
    """End some of the proposals whose time is over; the next slice goes on if there may be more.

    Until then a decision and the inbox see for themselves that a proposal is over.
    """
    run = slice_.run
    ended = expiry.expire_due(limit=EXPIRIES)
    done = run.progress.get("updated", 0) + ended
    progress = {"total": done, "processed": done, "updated": done}
    if ended == EXPIRIES:
        return ledger.save_progress(run, progress, wait=0.0)
    ledger.complete(run, Outcome.SUCCEEDED, progress, progress=progress)
    return None


def _propose(progress: dict[str, Any]) -> None:
    """Make the proposals for the next profiles; without any left, say so in ``progress``."""
    signals = AdvisorySignal.objects.filter(computation=progress["computation"])
    profiles = list(
        signals.filter(signal=SignalKind.LOW, profile_id__gt=progress.get("last_profile", ""))
        .order_by("profile_id")
        .values_list("profile_id", flat=True)
        .distinct()[:PROFILES]
    )
    by_profile: dict[str, list[AdvisorySignal]] = {profile: [] for profile in profiles}
    for signal in signals.filter(profile_id__in=profiles):
        by_profile[signal.profile_id].append(signal)
    for profile, its_signals in by_profile.items():
        try:
            made = generate.generate(profile, signals=its_signals, actor=SYSTEM).made
        except OrbitError as error:
            # It was edited or hidden meanwhile. The next night sees what it is then.
            log.warning("No proposals for the profile %s tonight: %s", profile, error.detail)
            continue
        progress["created"] = progress.get("created", 0) + sum(item.created for item in made)
    progress["last_profile"] = profiles[-1] if profiles else progress.get("last_profile", "")
    progress["proposed"] = len(profiles) < PROFILES
