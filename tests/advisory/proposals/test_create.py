"""Making proposals: a user's, equal ones, and by whose policy."""

from typing import Any

import pytest

from advisory.errors import Superseded
from advisory.models import ApprovalPolicy, StrategyProposal
from advisory.proposals import checks, create, reading
from advisory.proposals.create import Made
from advisory.proposals.patches import PatchInvalid
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES
from governance.models import AuditTrailEntry
from orbit.errors import ProfileUnknown
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from tests.support import advice
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
DISABLE = [{"op": "replace", "path": "/state", "value": "disabled"}]


def actor(name: str = "ann", role: str = "Operator", *namespaces: str) -> Actor:
    seen = frozenset(namespaces) if namespaces else None
    return Actor(name, sum(map(ord, name)), ROLES[role], seen)


def propose(by: Actor | None = None, patch: Any = DISABLE, **values: Any) -> Made:
    return create.propose(
        values.pop("kind", PROFILE),
        values.pop("name", "daily"),
        patch,
        actor=by or actor(),
        rationale=values.pop("rationale", "It fails each night."),
        **values,
    )


def test_a_proposal_says_who_made_it_of_what_and_is_audited_once() -> None:
    store_profiles([profile()], [run_profile()])
    made = propose(title="Stop it")
    proposal = reading.find(made.proposal.id, actor=SYSTEM)
    assert made.created
    assert (proposal.author, proposal.author_user, proposal.rule) == ("ann", actor().user_id, "")
    assert (proposal.base_revision, proposal.patch, proposal.namespace) == (1, DISABLE, "eu")
    assert (proposal.required_approvals, proposal.expires_at) == (1, None)
    (entry,) = AuditTrailEntry.objects.filter(action="proposal.created")
    assert (entry.actor, entry.object_id) == ("ann", str(proposal.id))
    assert (entry.namespace, entry.reason) == ("eu", "It fails each night.")


def test_an_equal_pending_proposal_is_returned_and_not_made_twice() -> None:
    store_profiles([profile()], [run_profile()])
    first = propose()
    again = propose(actor("bea"))
    assert (again.created, again.proposal.id) == (False, first.proposal.id)
    assert AuditTrailEntry.objects.filter(action="proposal.created").count() == 1


def test_an_equal_one_whose_time_is_over_is_not_in_the_way_before_it_is_swept() -> None:
    store_profiles([profile()], [run_profile()])
    advice.propose(expired=True, fingerprint=create.fingerprint("profile", "daily", 1, DISABLE))
    assert propose().created
    assert sorted(StrategyProposal.objects.values_list("state", flat=True)) == [
        "expired",
        "pending",
    ]


def test_the_strictest_policy_of_the_namespaces_holds() -> None:
    store_profiles([profile()], [run_profile(), run_profile("daily-us", namespace="us")])
    ApprovalPolicy.objects.create(namespace_id="eu", required_approvals=2)
    ApprovalPolicy.objects.create(namespace_id="us", expires_after_hours=48)
    proposal = propose().proposal
    assert (proposal.required_approvals, proposal.namespace) == (2, None)
    assert proposal.expires_at is not None
    assert round((proposal.expires_at - proposal.created_at).total_seconds()) == 48 * 3600
    of_run_profile = propose(kind=RUN_PROFILE, name="daily-us").proposal
    assert (of_run_profile.required_approvals, of_run_profile.namespace) == (1, "us")


def test_who_may_propose_and_what_is_refused() -> None:
    store_profiles([profile()], [run_profile()])
    with pytest.raises(NotAllowed):
        propose(actor("vic", "Viewer"))
    with pytest.raises(ProfileUnknown):
        propose(actor("us", "Operator", "us"))
    with pytest.raises(Superseded, match="Revision 1 of the profile daily is the current one"):
        propose(base_revision=2)
    with pytest.raises(PatchInvalid, match="The result doesn't fit: /label"):
        propose(patch=[{"op": "replace", "path": "/label", "value": ""}])
    with pytest.raises(PatchInvalid, match="can't change /profile_id"):
        propose(patch=[{"op": "replace", "path": "/profile_id", "value": "x"}])
    assert not StrategyProposal.objects.exists()


def test_a_confined_author_sees_the_proposal_and_others_dont() -> None:
    store_profiles([profile()], [run_profile(), run_profile("daily-us", namespace="us")])
    made = propose(actor("us", "Operator", "us"))
    assert [one.id for one in reading.listed(actor("bea", "Reviewer", "us"))] == [made.proposal.id]
    assert not reading.listed(actor("bea", "Reviewer", "eu"))


def test_the_state_is_that_of_now_before_any_sweep() -> None:
    store_profiles([profile()], [run_profile()])
    proposal = propose().proposal
    by = actor("bea", "Reviewer")
    assert reading.counts(by) == reading.Counts(pending=1, waiting=1)
    assert reading.counts(actor()) == reading.Counts(pending=1, waiting=0)
    store_profiles([profile(label="New")], [])
    assert reading.find(proposal.id, actor=by).shown_state == "superseded"
    assert [one.id for one in reading.listed(by, state="superseded")] == [proposal.id]
    assert not reading.listed(by, state="pending")
    late = advice.propose(base_revision=1, expired=True)
    assert reading.find(late.id, actor=by).shown_state == "expired"
    assert [one.id for one in reading.listed(by, state="expired")] == [late.id]
    assert [one.id for one in reading.listed(by, state="superseded")] == [proposal.id]
    assert reading.counts(by) == reading.Counts(pending=0, waiting=0)


def test_the_checks_say_whether_it_can_be_approved() -> None:
    store_profiles([profile()], [run_profile()])
    proposal = propose().proposal
    examined = checks.examine(proposal, actor=actor("bea", "Reviewer"))
    assert examined.can_be_approved
    assert [check.text for check in examined.checks] == [
        "Revision 1 is still current",
        "The result fits the schema",
        "You are not its author",
        "Namespace eu is not halted",
    ]
    assert examined.after is not None
    assert examined.after["state"] == "disabled"
    own = checks.examine(proposal, actor=actor())
    assert not own.can_be_approved
    store_profiles([profile(label="New")], [])
    moved = checks.examine(proposal, actor=actor("bea", "Reviewer"))
    assert moved.checks[0].text == "Revision 1 was replaced: 2 is the current one"
