"""What a decision does, and when it is refused."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from advisory.decisions import digest
from advisory.decisions.decide import Outcome, decide
from advisory.errors import (
    AlreadyDecided,
    ChangedSinceSeen,
    Expired,
    OwnProposal,
    ProposalUnknown,
    Superseded,
)
from advisory.models import ApprovalPolicy, ProposalDecision, StrategyProposal
from advisory.proposals.patches import PatchInvalid
from advisory.states import Verdict
from governance.access.actors import SYSTEM, Actor, NotAllowed, operator
from governance.access.roles import Scope
from governance.kernel import canonical
from governance.kernel.reasons import ReasonInvalid
from governance.models import AuditTrailEntry
from orbit.models import Profile, ProfileRevision, RunProfile
from orbit.profiles import edit
from orbit.profiles.kinds import PROFILE
from orbit.states import ProfileState
from tests.support.advice import propose, state_of, store_documents
from tests.support.callers import actor_of, create_user

pytestmark = pytest.mark.django_db


def reviewer(name: str = "rita", *namespaces: str) -> Actor:
    return actor_of(create_user(name, "Reviewer", *namespaces))


def approve(proposal: StrategyProposal, actor: Actor, **values: Any) -> Outcome:
    return decide(proposal.pk, Verdict.APPROVE, actor=actor, reason="less noise", **values)


def reject(proposal: StrategyProposal, actor: Actor) -> Outcome:
    return decide(proposal.pk, Verdict.REJECT, actor=actor, reason="no need")


def audited() -> list[tuple[str, str, str]]:
    """Return what the audit trail has of the proposal's end and of its refusals."""
    rows = AuditTrailEntry.objects.exclude(action="user.changed").order_by("id")
    return list(rows.values_list("action", "actor", "object_id"))


def label() -> str:
    return str(Profile.objects.get(profile_id="daily").label)


def test_an_approval_makes_the_next_revision_which_names_the_proposal() -> None:
    store_documents()
    proposal = propose()
    outcome = approve(proposal, reviewer())
    assert (outcome.proposal.state, outcome.proposal.applied_revision) == ("approved", 2)
    assert label() == "Daily, slower"
    revision = ProfileRevision.objects.get(number=2)
    assert (revision.source, revision.author) == ("proposal", "rita")
    assert revision.reason == f"approved proposal {proposal.pk}: less noise"
    assert "has revision 2 now. To undo it, go back to revision 1." in outcome.sentence
    (approved,) = AuditTrailEntry.objects.all()
    assert (approved.action, approved.object_id) == ("proposal.approved", str(proposal.pk))
    before, after = approved.before, approved.after
    assert (before["state"], before["revision"]) == ("pending", 1)
    assert (before["document"]["label"], after["document"]["label"]) == ("Daily", "Daily, slower")
    assert (approved.after["state"], approved.after["applied_revision"]) == ("approved", 2)


def test_a_decision_keeps_what_was_seen_with_its_digest() -> None:
    store_documents()
    proposal = propose(evidence={"p": 1e-9, "runs": 2**60, "share": -0.0})
    rita = reviewer()
    seen = digest.seen(proposal, actor=rita)
    approve(proposal, rita, seen_sha256=seen.sha256)
    decision = ProposalDecision.objects.get()
    assert decision.seen_sha256 == seen.sha256
    assert canonical.sha256_hex(canonical.canonical_json(decision.seen)) == seen.sha256
    assert decision.seen["changes"] == [
        {"pointer": "/label", "before": "Daily", "after": "Daily, slower"}
    ]
    assert decision.seen["proposal"]["rationale"] == proposal.rationale
    assert decision.seen["document"] == {"kind": "profile", "id": "daily", "revision": 1}


def test_a_rejection_changes_nothing_but_the_proposal() -> None:
    store_documents()
    proposal = propose()
    outcome = reject(proposal, reviewer())
    assert outcome.sentence == "Rejected. The profile daily stays as it is."
    assert (state_of(proposal), label()) == ("rejected", "Daily")
    assert audited() == [("proposal.rejected", "rita", str(proposal.pk))]


def test_a_run_profile_is_changed_in_the_same_way() -> None:
    store_documents()
    patch = [{"op": "add", "path": "/value_tags", "value": ["kit"]}]
    proposal = propose(run_profile_id="daily-eu", patch=patch)
    approve(proposal, reviewer("rita", "eu"))
    row = RunProfile.objects.get(run_profile_id="daily-eu")
    assert (row.revision, row.document["value_tags"]) == (2, ["kit"])


def test_who_decided_already_is_named_to_the_second() -> None:
    store_documents()
    proposal = propose()
    rita = reviewer()
    approve(proposal, rita)
    at = f"{ProposalDecision.objects.get().decided_at:%Y-%m-%d %H:%M:%S} UTC"
    with pytest.raises(AlreadyDecided, match=f"rita has approved this proposal already, at {at}"):
        reject(proposal, reviewer("rolf"))
    with pytest.raises(AlreadyDecided, match=f"You have approved this proposal already, at {at}"):
        approve(proposal, rita)
    assert ProposalDecision.objects.count() == 1
    assert [name for name, *_ in audited()][1:] == ["decision.refused"] * 2


def test_nobody_decides_their_own_proposal_also_not_under_another_name() -> None:
    store_documents()
    paul = create_user("paul", "Administrator")
    proposal = propose(paul)
    with pytest.raises(OwnProposal):
        approve(proposal, actor_of(paul))
    with pytest.raises(OwnProposal):
        reject(proposal, actor_of(paul))
    User.objects.filter(pk=paul.pk).update(username="pavel")
    with pytest.raises(OwnProposal):
        approve(proposal, actor_of(paul))
    assert (state_of(proposal), label()) == ("pending", "Daily")
    # A user who got the author's old name may not decide either: the names are the same.
    with pytest.raises(OwnProposal):
        approve(proposal, reviewer("paul"))


def test_a_command_decides_what_it_has_not_proposed() -> None:
    store_documents()
    with pytest.raises(OwnProposal):
        approve(propose(operator().name), operator())
    assert approve(propose(), operator()).decision.decided_by == operator().name


def test_the_engine_decides_nothing() -> None:
    store_documents()
    with pytest.raises(OwnProposal):
        approve(propose(), SYSTEM)
    with pytest.raises(NotAllowed):
        approve(propose("command:root"), SYSTEM)
    assert not ProposalDecision.objects.exists()


def test_a_document_that_has_moved_on_supersedes_the_proposal() -> None:
    store_documents()
    proposal, rita = propose(), reviewer()
    edit.set_state(PROFILE, "daily", ProfileState.DISABLED, actor=SYSTEM, source="admin", reason="")
    words = "has revision 2 now, and this proposal was made against revision 1"
    with pytest.raises(Superseded, match=words):
        approve(proposal, rita)
    assert (state_of(proposal), label()) == ("superseded", "Daily")
    # It stays so, even if the document comes back to what it was.
    with pytest.raises(Superseded, match=words):
        reject(proposal, rita)
    assert [name for name, *_ in audited()] == [
        "profile.changed",
        "proposal.ended",
        "decision.refused",
        "decision.refused",
    ]
    assert not ProposalDecision.objects.exists()


def test_a_hidden_document_supersedes_the_proposal() -> None:
    store_documents()
    proposal = propose()
    RunProfile.objects.update(hidden=True)
    Profile.objects.update(hidden=True)
    with pytest.raises(Superseded, match="no longer in the configuration"):
        approve(proposal, reviewer())
    assert state_of(proposal) == "superseded"


def test_after_its_time_a_proposal_is_a_no() -> None:
    store_documents()
    proposal = propose(expired=True)
    for _ in range(2):
        with pytest.raises(Expired, match=r"The time to decide this ended at .*: that is a no"):
            approve(proposal, reviewer(f"rita{_}"))
    assert (state_of(proposal), label()) == ("expired", "Daily")


def test_what_was_seen_must_be_what_is_decided() -> None:
    store_documents()
    proposal = propose()
    with pytest.raises(ChangedSinceSeen):
        approve(proposal, reviewer(), seen_sha256="0" * 64)
    assert state_of(proposal) == "pending"


def test_a_change_that_breaks_the_schema_is_rejected_but_not_approved() -> None:
    store_documents()
    proposal, rita = propose(patch=[{"op": "add", "path": "/colour", "value": 1}]), reviewer()
    fits = {check.code: check.ok for check in digest.seen(proposal, actor=rita).examined.checks}
    assert fits["result_fits"] is False
    with pytest.raises(PatchInvalid, match="/colour"):
        approve(proposal, rita)
    assert (state_of(proposal), ProposalDecision.objects.count()) == ("pending", 0)
    reject(proposal, rita)


def test_a_schema_is_checked_before_the_first_of_two_approvals() -> None:
    store_documents()
    patch = [{"op": "add", "path": "/colour", "value": 1}]
    with pytest.raises(PatchInvalid):
        approve(propose(patch=patch, required_approvals=2), reviewer())
    assert not ProposalDecision.objects.exists()


def test_two_users_have_to_approve_where_the_policy_says_two() -> None:
    store_documents()
    ApprovalPolicy.objects.create(namespace_id="eu", required_approvals=2)
    proposal = propose()
    rita = reviewer()
    first = approve(proposal, rita)
    assert (first.proposal.state, first.approvals) == ("pending", 1)
    assert first.sentence.startswith("1 of 2 approvals: nothing changes")
    assert label() == "Daily"
    with pytest.raises(AlreadyDecided, match="It needs 2 approvals by different users"):
        approve(proposal, rita)
    second = approve(proposal, reviewer("rolf"))
    assert (second.proposal.state, second.approvals, label()) == ("approved", 2, "Daily, slower")
    assert [name for name, *_ in audited()] == [
        "approval.given",
        "decision.refused",
        "proposal.approved",
    ]


def test_one_rejection_ends_a_proposal_that_others_approved() -> None:
    store_documents()
    proposal = propose(required_approvals=3)
    approve(proposal, reviewer("rita"))
    reject(proposal, reviewer("rolf"))
    with pytest.raises(AlreadyDecided, match="rolf has rejected"):
        approve(proposal, reviewer("rosa"))
    assert label() == "Daily"


def test_a_user_of_another_namespace_sees_no_proposal() -> None:
    store_documents("eu", "us")
    with pytest.raises(ProposalUnknown):
        approve(propose(namespace="eu"), reviewer("rita", "us"))
    assert audited() == []


def test_a_confined_reviewer_leaves_alone_what_runs_elsewhere_too() -> None:
    store_documents("eu", "us")
    proposal = propose(namespace="eu")
    rolf = reviewer("rolf", "eu")
    for decision in (approve, reject):
        with pytest.raises(NotAllowed, match="also runs in namespaces that you may not see"):
            decision(proposal, rolf)
    assert (state_of(proposal), label()) == ("pending", "Daily")
    approve(proposal, reviewer("rita"))


def test_an_operator_decides_nothing_and_no_decision_goes_without_a_reason() -> None:
    store_documents()
    proposal = propose()
    with pytest.raises(NotAllowed, match="This needs the permission review"):
        approve(proposal, actor_of(create_user("otto", "Operator")))
    with pytest.raises(ReasonInvalid):
        decide(proposal.pk, Verdict.REJECT, actor=reviewer(), reason=" \n")
    assert state_of(proposal) == "pending"


def test_a_role_that_was_taken_meanwhile_decides_nothing() -> None:
    store_documents()
    proposal = propose()
    rita = create_user("rita", "Reviewer")
    before = actor_of(rita)
    assert before.may(Scope.REVIEW)
    rita.groups.clear()
    with pytest.raises(NotAllowed, match="rita has lost the permission review"):
        approve(proposal, before)
    User.objects.filter(pk=rita.pk).update(is_active=False)
    with pytest.raises(NotAllowed, match="rita was disabled"):
        approve(proposal, before)
    assert (state_of(proposal), label()) == ("pending", "Daily")


def test_a_user_who_is_renamed_in_mid_decision_decides_nothing() -> None:
    store_documents()
    rita = create_user("rita", "Reviewer")
    before = actor_of(rita)
    User.objects.filter(pk=rita.pk).update(username="margarita")
    with pytest.raises(NotAllowed, match="Your user was renamed or disabled just now"):
        approve(propose(), before)
    assert not ProposalDecision.objects.exists()
