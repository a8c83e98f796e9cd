"""Approvals on probation: their terms, their confirmation, and their end."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from advisory.decisions import decide, detail, probation, probation_end
from advisory.decisions.probation import (
    NoProbation,
    ProbationInvalid,
    ProbationOver,
    Terms,
)
from advisory.errors import OwnProposal, ProposalUnknown
from advisory.models import Probation, StrategyProposal
from advisory.states import Verdict
from governance.access.actors import SYSTEM, Actor, NotAllowed, of_user
from governance.access.roles import ROLES
from governance.kernel import clock
from governance.kernel.constraints import violated
from governance.models import AuditTrailEntry
from governance.namespaces.stops import ReasonInvalid
from orbit.models import Profile, ProfileRevision, RunProfile
from orbit.profiles import edit, revisions
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE
from orbit.states import ProfileState
from tests.support import callers
from tests.support.approved import ANN, BEN, CLEO, approve, ended_cycle, on_probation, pending
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configuration(db: None) -> None:
    store_profiles([profile()], [run_profile()])


def approved(
    cycles: int | None = 3, until: datetime | None = None, **values: Any
) -> StrategyProposal:
    document = profile(label="Better")
    return on_probation(pending(**values), document, cycles=cycles, until=until)


def hours(number: int) -> datetime:
    return clock.read() + timedelta(hours=number)


def run_cycles(number: int, **values: Any) -> None:
    for _ in range(number):
        ended_cycle(finished_at=clock.read(), **values)


def ending(proposal: StrategyProposal) -> tuple[str, str]:
    row = Probation.objects.get(pk=proposal.pk)
    return row.status, row.end_reason


def label() -> str:
    return str(Profile.objects.get().document["label"])


@pytest.mark.parametrize(
    ("cycles", "days", "pointer"),
    [
        (None, None, "/probation"),
        (0, None, "/probation/cycles"),
        (10_001, None, "/probation/cycles"),
        (1, -1, "/probation/until"),
        (None, 401, "/probation/until"),
    ],
)
def test_impossible_terms_are_refused(cycles: int | None, days: int | None, pointer: str) -> None:
    until = None if days is None else clock.read() + timedelta(days=days)
    with pytest.raises(ProbationInvalid) as refused:
        Terms(cycles, until)
    assert [error["pointer"] for error in refused.value.errors] == [pointer]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ProbationInvalid):
        Terms(until=(clock.read() + timedelta(days=1)).replace(tzinfo=None))


def test_after_its_cycles_the_earlier_revision_comes_back() -> None:
    proposal = approved()
    run_cycles(2)
    assert probation_end.end_due() == 0
    assert label() == "Better"
    run_cycles(1, status="failed")
    assert probation_end.end_due() == 1
    status, reason = ending(proposal)
    assert (label(), status) == ("Daily", "rolled_back")
    assert reason == (
        "Revision 1 of the profile daily came back: 3 cycles ended, and no one confirmed the "
        f"proposal {proposal.pk}."
    )
    revision = ProfileRevision.objects.get(number=3)
    assert (revision.author, revision.source) == ("orbit", "proposal")
    assert str(proposal.pk) in revision.reason
    assert Probation.objects.get().made_revision == 3
    assert probation_end.end_due() == 0


def test_the_end_is_one_entry_of_the_trail_beside_the_edit() -> None:
    proposal = approved(cycles=1)
    run_cycles(1)
    probation_end.end_due()
    edited, ended = AuditTrailEntry.objects.order_by("-id")[:2][::-1]
    assert (edited.action, edited.actor) == ("profile.changed", "orbit")
    assert (ended.action, ended.object_id) == ("probation.ended", str(proposal.pk))
    assert ended.before == {"status": "running", "revision": 2}
    assert ended.after == {"status": "rolled_back", "revision": 3}
    assert ended.namespace == "eu"


def test_only_cycles_of_the_applied_revision_that_ended_afterwards_count() -> None:
    proposal = approved(cycles=1)
    run_cycles(3, revision=1)
    run_cycles(3, status="cancelled")
    ended_cycle(finished_at=clock.read() - timedelta(hours=1))
    run_cycles(3, profile_id="other")
    assert probation_end.end_due() == 0
    assert ending(proposal) == ("running", "")


def test_cycles_of_all_run_profiles_of_the_profile_count() -> None:
    store_profiles([], [run_profile("daily-us", namespace="us")])
    approved(cycles=2)
    run_cycles(1)
    run_cycles(1, run_profile_id="daily-us", namespace="us")
    assert probation_end.end_due() == 1


def test_of_a_run_profile_only_its_own_cycles_count() -> None:
    store_profiles([], [run_profile("daily-us", namespace="us")])
    proposal = on_probation(
        pending(run_profile_id="daily-eu"),
        run_profile(asset_bundle={"a": 1}),
        cycles=1,
    )
    run_cycles(1, run_profile_id="daily-us", namespace="us", run_revision=2)
    assert probation_end.end_due() == 0
    run_cycles(1, revision=1, run_revision=2)
    assert probation_end.end_due() == 1
    assert ending(proposal)[0] == "rolled_back"
    assert "asset_bundle" not in RunProfile.objects.get(run_profile_id="daily-eu").document


def test_when_its_time_is_over_the_earlier_revision_comes_back() -> None:
    store_profiles([profile("later")], [])
    later = on_probation(pending("later"), profile("later", label="Better"), until=hours(1))
    proposal = approved(cycles=None, until=hours(-1))
    assert [probation_end.end_due(), probation_end.end_due()] == [1, 0]
    assert ending(proposal)[0] == "rolled_back"
    assert "its time was over" in ending(proposal)[1]
    assert ending(later) == ("running", "")


def test_after_an_edit_nothing_is_rolled_back_and_the_record_says_whose_edit() -> None:
    proposal = approved()
    edit.save(
        PROFILE,
        "daily",
        profile(label="Mine"),
        actor=Actor("dora", None, ROLES["Configurator"], None),
        source="api",
        expected=ANY,
        reason="a typo",
    )
    assert probation_end.end_due() == 1
    status, reason = ending(proposal)
    assert (label(), status) == ("Mine", "skipped")
    assert "Revision 3 is by dora" in reason
    assert "a typo" in reason
    entry = AuditTrailEntry.objects.order_by("-id")[0]
    assert (entry.action, entry.after) == ("probation.ended", {"status": "skipped"})


def test_a_hidden_profile_ends_the_probation_and_the_record_says_so() -> None:
    proposal = approved()
    revisions.hide_others(profiles=[], run_profiles=[])
    assert probation_end.end_due() == 1
    assert ending(proposal) == (
        "skipped",
        "Nothing was rolled back: the profile daily is no longer in the configuration.",
    )


def test_a_revision_that_no_longer_passes_the_schema_does_not_come_back() -> None:
    # Saved when the endpoint existed.
    store_profiles([], [run_profile(distribution_targets=["gone"])])
    proposal = on_probation(pending(run_profile_id="daily-eu", base=2), run_profile(), cycles=1)
    run_cycles(1, revision=1, run_revision=3)
    assert [probation_end.end_due(), probation_end.end_due()] == [1, 0]
    status, reason = ending(proposal)
    assert status == "skipped"
    assert reason.startswith("Revision 2 of the run profile daily-eu can't come back: ")
    assert "gone" in reason
    assert RunProfile.objects.get().revision == 3


def test_a_confirmed_change_stays() -> None:
    proposal = approved()
    confirmed = probation.confirm(proposal.pk, actor=CLEO, reason=" it works ")
    assert (confirmed.status, confirmed.ended_by, confirmed.end_reason) == (
        "confirmed",
        "command:cleo",
        "it works",
    )
    run_cycles(3)
    assert probation_end.end_due() == 0
    assert label() == "Better"
    entry = AuditTrailEntry.objects.order_by("-id")[0]
    assert (entry.action, entry.actor, entry.reason) == (
        "probation.confirmed",
        "command:cleo",
        "it works",
    )
    assert (entry.object_id, entry.namespace) == (str(proposal.pk), "eu")


def test_who_approved_may_confirm_but_the_author_may_not() -> None:
    mine = approved(author="ann", rule="")
    with pytest.raises(OwnProposal):
        probation.confirm(mine.pk, actor=ANN, reason="mine")
    assert probation.confirm(mine.pk, actor=BEN, reason="it works").status == "confirmed"


def test_a_renamed_author_is_still_the_author() -> None:
    mine = approved(author="ann", author_user=7, rule="")
    renamed = Actor("anna", 7, ROLES["Reviewer"], None)
    with pytest.raises(OwnProposal):
        probation.confirm(mine.pk, actor=renamed, reason="mine")


@pytest.mark.parametrize(
    ("actor", "reason", "refusal"),
    [
        (Actor("vic", None, ROLES["Configurator"], None), "why", NotAllowed),
        (Actor("us", None, ROLES["Reviewer"], frozenset({"us"})), "why", ProposalUnknown),
        (CLEO, " ", ReasonInvalid),
    ],
)
def test_a_confirmation_is_refused(actor: Actor, reason: str, refusal: type[Exception]) -> None:
    proposal = approved()
    with pytest.raises(refusal):
        probation.confirm(proposal.pk, actor=actor, reason=reason)
    assert ending(proposal) == ("running", "")


def test_what_is_not_on_probation_can_not_be_confirmed() -> None:
    with pytest.raises(NoProbation):
        probation.confirm(pending().pk, actor=CLEO, reason="why")
    with pytest.raises(ProposalUnknown):
        probation.confirm(UUID(int=1), actor=CLEO, reason="why")


def test_the_second_to_confirm_learns_who_was_first() -> None:
    proposal = approved()
    probation.confirm(proposal.pk, actor=CLEO, reason="it works")
    with pytest.raises(ProbationOver) as refused:
        probation.confirm(proposal.pk, actor=BEN, reason="it works")
    assert "by command:cleo: it works" in refused.value.detail
    assert refused.value.extra["ended_by"] == "command:cleo"


def test_who_confirms_too_late_learns_that_the_change_is_gone() -> None:
    proposal = approved(cycles=1)
    run_cycles(1)
    probation_end.end_due()
    with pytest.raises(ProbationOver, match=r"^Revision 1 came back at .* by orbit: "):
        probation.confirm(proposal.pk, actor=CLEO, reason="it works")


def test_a_pass_looks_at_a_bounded_number_and_the_next_goes_on() -> None:
    for number, until in enumerate([hours(1), hours(1), hours(-1)]):
        name = f"p{number}"
        store_profiles([profile(name)], [])
        on_probation(pending(name), profile(name, label="Better"), until=until)
    sweep = probation_end.Sweep()
    assert [sweep.end_due(limit=2) for _ in range(3)] == [0, 1, 0]


def test_a_disabled_profile_counts_as_edited() -> None:
    proposal = approved()
    edit.set_state(
        PROFILE, "daily", ProfileState.DISABLED, actor=SYSTEM, source="api", reason="off"
    )
    probation_end.end_due()
    assert ending(proposal)[0] == "skipped"


def test_an_approval_on_probation_can_be_confirmed_by_its_reviewer() -> None:
    proposal = pending()
    terms = Terms(cycles=2, until=hours(1))
    decide.decide(proposal.pk, Verdict.APPROVE, actor=BEN, reason="try it", probation=terms)
    row = Probation.objects.get()
    assert (row.cycles, row.until, row.asked_by) == (2, terms.until, BEN.name)
    assert (row.fallback_revision, row.applied_revision) == (1, 2)
    run_cycles(1)
    assert detail.follow_up(StrategyProposal.objects.get()).cycles_ended == 1
    probation.confirm(proposal.pk, actor=BEN, reason="it works")
    assert detail.follow_up(StrategyProposal.objects.get()).cycles_ended is None


def test_a_reviewer_of_one_namespace_does_not_confirm_what_runs_elsewhere_too() -> None:
    approved()
    confined = Actor("command:eva", None, ROLES["Reviewer"], frozenset({"eu"}))
    store_profiles([], [run_profile("daily-us", namespace="us")])
    with pytest.raises(NotAllowed):
        probation.confirm(StrategyProposal.objects.get().pk, actor=confined, reason="it works")
    revisions.hide_others(profiles=["daily"], run_profiles=["daily-eu"])
    probation.confirm(StrategyProposal.objects.get().pk, actor=confined, reason="it works")


def test_a_reviewer_who_was_disabled_just_now_does_not_confirm() -> None:
    proposal = approved()
    user = callers.create_user("rae", "Reviewer")
    actor = of_user(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(NotAllowed):
        probation.confirm(proposal.pk, actor=actor, reason="it works")
    assert ending(proposal) == ("running", "")


def refused(sql: str, *values: Any) -> str | None:
    """Return the constraint by which the database refuses a statement."""
    with pytest.raises(DatabaseError) as error, transaction.atomic():
        rows(sql, *values)
    return violated(error.value)


CONFIRM = """UPDATE advisory_probation
    SET status = 'confirmed', ended_at = now(), ended_by = %s, ended_by_user = %s, end_reason = %s
    RETURNING status"""


def test_the_database_keeps_four_eyes_and_that_a_confirmation_has_its_user() -> None:
    user = callers.create_user("rae", "Reviewer")
    author = callers.create_user("ann", "Operator", "Reviewer")
    approved(author="ann", author_user=author.pk, rule="")
    assert refused(CONFIRM, "ann", author.pk, "mine") == "probation_four_eyes"
    assert refused(CONFIRM, "other", author.pk, "mine") == "probation_four_eyes"
    assert refused(CONFIRM, "rae", user.pk, "") == "probation_four_eyes"
    assert refused(CONFIRM, "rae", None, "why") == "probation_user"
    assert refused(CONFIRM, "eve", user.pk, "why") == "probation_user"
    assert rows(CONFIRM, "rae", user.pk, "why") == [("confirmed",)]


def test_the_database_keeps_probations_as_they_were() -> None:
    proposal = approved()
    assert refused("UPDATE advisory_probation SET cycles = 9000 RETURNING 1") == (
        "probation_ends_once"
    )
    assert refused("UPDATE advisory_probation SET fallback_revision = 7 RETURNING 1") == (
        "probation_ends_once"
    )
    for sql in ("DELETE FROM advisory_probation RETURNING 1", "TRUNCATE advisory_probation"):
        refused(sql)
    probation.confirm(proposal.pk, actor=CLEO, reason="it works")
    assert (
        refused("UPDATE advisory_probation SET status = 'running', ended_at = NULL RETURNING 1")
        == "probation_ends_once"
    )


def test_only_what_an_approval_applied_is_put_on_probation() -> None:
    insert = """INSERT INTO advisory_probation
        (proposal_id, status, cycles, fallback_revision, applied_revision, asked_by, started_at,
         ended_by, end_reason)
        VALUES (%s, 'running', 1, %s, %s, 'x', now(), '', '') RETURNING status"""
    waiting = pending()
    assert refused(insert, waiting.pk, 1, 2) == "probation_of_approved"
    proposal = approve(pending(), profile(label="Better"))
    assert refused(insert, proposal.pk, 1, 3) == "probation_of_approved"
    assert rows(insert, proposal.pk, 1, 2) == [("running",)]
