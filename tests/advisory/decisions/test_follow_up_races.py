"""Sweeps at once, sweeps against users, and kills in the middle; on a database of their own."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.db import connection, connections

from advisory.decisions import (
    expiry,
    probation,
    probation_end,
    track_record,
    track_record_end,
)
from advisory.decisions.probation import ProbationOver
from advisory.models import Probation, StrategyProposal, TrackRecord
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import AuditTrailEntry
from orbit.errors import Stale
from orbit.models import Profile, ProfileRevision
from orbit.profiles import edit
from orbit.profiles.expected import exactly
from orbit.profiles.kinds import PROFILE
from tests.support.approved import CLEO, approve, on_probation, pending, supersede_outdated
from tests.support.configuration import profile, store_profiles
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")

ROUNDS = 20
T = TypeVar("T")


def over(name: str) -> StrategyProposal:
    """Create a profile whose change is on probation, and its time is over."""
    store_profiles([profile(name)], [])
    until = clock.read() - timedelta(hours=1)
    return on_probation(pending(name), profile(name, label="Better"), until=until)


def entries(action: str) -> int:
    return AuditTrailEntry.objects.filter(action=action).count()


def test_of_two_sweeps_one_ends_each_probation() -> None:
    for number in range(ROUNDS):
        over(f"p{number}")
        assert sum(at_once(probation_end.end_due, probation_end.end_due)) == 1
    assert ProfileRevision.objects.filter(number=3).count() == ROUNDS
    assert not ProfileRevision.objects.filter(number__gt=3).exists()
    assert entries("probation.ended") == ROUNDS


def test_of_two_sweeps_one_ends_each_proposal() -> None:
    def ended(sweep: Callable[[], int]) -> int:
        # A sweep leaves what the other has locked, so that it may find nothing.
        return sum(at_once(sweep, sweep)) + sweep()

    store_profiles([profile("moved")], [])
    store_profiles([profile("moved", label="Newer")], [])
    for _ in range(ROUNDS):
        pending("moved", base=2, expires_at=clock.read() - timedelta(hours=1))
        assert ended(expiry.expire_due) == 1
        pending("moved")
        assert ended(supersede_outdated) == 1
    assert entries("proposal.ended") == 2 * ROUNDS


def test_of_two_sweeps_one_resolves_each_track_record() -> None:
    for number in range(ROUNDS):
        name = f"p{number}"
        store_profiles([profile(name)], [])
        proposal = pending(name, forecast={"hope": "much"})
        track_record.start(approve(proposal, profile(name, label="Better")))
        store_profiles([profile(name, label="Mine")], [])
        assert sum(at_once(track_record_end.resolve_due, track_record_end.resolve_due)) == 1
    assert TrackRecord.objects.filter(status="cannot_tell").count() == ROUNDS


def test_an_edit_and_a_roll_back_at_once_never_overwrite_each_other() -> None:
    def save(name: str) -> bool:
        document = profile(name, label="Mine")
        try:
            edit.save(PROFILE, name, document, actor=SYSTEM, source="api", expected=exactly(2))
        except Stale:
            return False
        return True

    for number in range(ROUNDS):
        name = f"p{number}"
        proposal = over(name)
        saved, ended = at_once(lambda name=name: save(name), probation_end.end_due)  # type: ignore[misc]
        # The edit may come just after the look at it.
        assert ended + probation_end.end_due() == 1
        row = Probation.objects.get(pk=proposal.pk)
        current = Profile.objects.get(profile_id=name)
        assert (current.document["label"], row.status, current.revision) == (
            ("Mine", "skipped", 3) if saved else (name.title(), "rolled_back", 3)
        )


def test_of_a_confirmation_and_the_end_one_happens() -> None:
    def confirm(proposal: StrategyProposal) -> bool:
        try:
            probation.confirm(proposal.pk, actor=CLEO, reason="it works")
        except ProbationOver:
            return False
        return True

    for number in range(ROUNDS):
        proposal = over(f"p{number}")
        confirmed, ended = at_once(
            lambda proposal=proposal: confirm(proposal),  # type: ignore[misc]
            probation_end.end_due,
        )
        assert (confirmed, ended) in {(True, 0), (False, 1)}
        assert Profile.objects.get(profile_id=f"p{number}").revision == (2 if confirmed else 3)
    assert entries("probation.confirmed") + entries("probation.ended") == ROUNDS


def killed_at(number: int, sweep: Callable[[], int]) -> bool:
    """Run ``sweep`` in a process that is killed after its ``number``-th statement, if it has so
    many; tell whether it was.
    """
    statements = 0

    def execute(call: Callable[..., Any], *args: Any) -> Any:
        nonlocal statements
        statements += 1
        result = call(*args)
        if statements == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    connections.close_all()
    child = os.fork()
    if child == 0:
        with connection.execute_wrapper(execute):
            sweep()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_roll_back_that_is_killed_anywhere_happened_whole_or_not_at_all() -> None:
    proposal = over("p")
    kills = 0
    while killed_at(kills + 1, probation_end.end_due):
        kills += 1
        row = Probation.objects.get(pk=proposal.pk)
        assert (row.status, Profile.objects.get().revision) == ("running", 2)
        assert entries("probation.ended") == 0
    # Also between the edit and the end of the probation.
    assert kills > 10
    row = Probation.objects.get(pk=proposal.pk)
    assert (row.status, Profile.objects.get().revision) == ("rolled_back", 3)
    assert entries("probation.ended") == 1
    assert probation_end.end_due() == 0


@pytest.mark.parametrize("sweep", [expiry.expire_due, supersede_outdated])
def test_a_proposal_that_ends_while_its_sweep_is_killed_ends_once(
    sweep: Callable[[], int],
) -> None:
    pending("missing", expires_at=clock.read() - timedelta(hours=1))
    kills = 0
    while killed_at(kills + 1, sweep):
        kills += 1
        assert StrategyProposal.objects.get().state == "pending"
    assert kills > 0
    assert StrategyProposal.objects.get().state != "pending"
    assert entries("proposal.ended") == 1
