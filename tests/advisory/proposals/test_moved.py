"""A document that is hidden, renamed or moved under an open proposal: who sees it, and what."""

from typing import Any

import pytest

from advisory.models import StrategyProposal
from advisory.proposals import checks, create, reading
from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import ROLES
from orbit.profiles import revisions
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
DISABLE = [{"op": "replace", "path": "/state", "value": "disabled"}]
WORKSPACE = Actor("rev", 1, ROLES["Reviewer"], None)
OF_EU = Actor("eva", 2, ROLES["Reviewer"], frozenset({"eu"}))
OF_US = Actor("uma", 3, ROLES["Reviewer"], frozenset({"us"}))


def propose(kind: AnyKind, name: str) -> StrategyProposal:
    ann = Actor("ann", 7, ROLES["Operator"], None)
    return create.propose(kind, name, DISABLE, actor=ann, rationale="r").proposal


def state(proposal: StrategyProposal, actor: Actor = WORKSPACE) -> str:
    return str(reading.find(proposal.id, actor=actor).shown_state)  # type: ignore[attr-defined]


def first_check(proposal: StrategyProposal, actor: Actor = WORKSPACE) -> str:
    examined = checks.examine(proposal, actor=actor)
    assert not examined.can_be_approved
    return examined.checks[0].text


def keep(profiles: list[str], run_profiles: list[str]) -> Any:
    with audit.transaction():
        revisions.lock()
        return revisions.hide_others(profiles=profiles, run_profiles=run_profiles)


@pytest.fixture
def daily() -> None:
    store_profiles([profile()], [run_profile()])


def test_a_hidden_documents_proposal_is_superseded(daily: None) -> None:
    of_profile, of_run_profile = propose(PROFILE, "daily"), propose(RUN_PROFILE, "daily-eu")
    keep([], [])
    for proposal in (of_profile, of_run_profile):
        for actor in (WORKSPACE, OF_EU):
            assert state(proposal, actor) == "superseded"
    assert "There is no profile daily any more" in first_check(of_profile)
    assert reading.counts(WORKSPACE).pending == 0


def test_a_renamed_profile_is_another_document(daily: None) -> None:
    proposal = propose(PROFILE, "daily")
    store_profiles([profile("nightly")], [run_profile("daily-eu", "nightly")])
    keep(["nightly"], ["daily-eu"])
    assert state(proposal) == "superseded"
    assert state(proposal, OF_EU) == "superseded"


def test_a_moved_run_profiles_proposal_stays_where_it_was_seen(daily: None) -> None:
    proposal = propose(RUN_PROFILE, "daily-eu")
    store_profiles([], [run_profile(namespace="us")])
    assert state(proposal, OF_EU) == "superseded"
    assert not reading.listed(OF_US)
    assert first_check(proposal) == "Revision 1 was replaced: 2 is the current one"


def test_a_profiles_proposal_stays_open_if_only_its_run_profile_moves(daily: None) -> None:
    proposal = propose(PROFILE, "daily")
    store_profiles([], [run_profile(namespace="us")])
    assert state(proposal, OF_EU) == "pending"
    # The reviewers of its namespace don't see the profile any more; those of the workspace do.
    assert "runs in no namespace of yours" in first_check(proposal, OF_EU)
    examined = checks.examine(proposal, actor=WORKSPACE)
    assert examined.can_be_approved
    assert examined.checks[-1].text == "Namespace us is not halted"


def test_a_profile_that_also_runs_elsewhere_is_decided_by_who_sees_both(daily: None) -> None:
    store_profiles([], [run_profile("daily-us", namespace="us")])
    proposal = create.propose(
        PROFILE,
        "daily",
        DISABLE,
        actor=Actor("ann", 7, ROLES["Operator"], frozenset({"eu"})),
        rationale="r",
    ).proposal
    assert proposal.namespace == "eu"
    assert checks.examine(proposal, actor=WORKSPACE).can_be_approved
    failed = [check.code for check in checks.examine(proposal, actor=OF_EU).checks if not check.ok]
    assert failed == ["namespaces_seen"]
    assert checks.examine(proposal, actor=SYSTEM).before is not None
