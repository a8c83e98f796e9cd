"""Decisions at once, and a crash before and after the commit; on a database of their own."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from django.db import connection, connections

from advisory.decisions.decide import decide
from advisory.errors import AlreadyDecided, Expired, OwnProposal, Superseded
from advisory.models import ApprovalPolicy, ProposalDecision, StrategyProposal
from advisory.states import Verdict
from governance.access.actors import SYSTEM, Actor
from governance.kernel.errors import OrbitError
from governance.models import AuditTrailEntry
from orbit.errors import Stale
from orbit.models import Profile, ProfileRevision
from orbit.profiles import edit
from orbit.profiles.expected import exactly
from orbit.profiles.kinds import PROFILE
from tests.support.advice import propose, state_of, store_documents
from tests.support.callers import actor_of, api, create_user
from tests.support.configuration import profile
from tests.support.postgres_proxy import (
    Fault,
    PostgresProxy,
    commit_of,
    lose_answer,
    lose_request,
)
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")
T = TypeVar("T")
ROUNDS = 10


def attempt(proposal: StrategyProposal, verdict: Verdict, actor: Actor) -> OrbitError | None:
    """Decide; return the refusal."""
    try:
        decide(proposal.pk, verdict, actor=actor, reason="at once")
    except OrbitError as refusal:
        return refusal
    return None


def reviewers(*names: str) -> list[Actor]:
    return [actor_of(create_user(name, "Reviewer")) for name in names]


def test_of_two_reviewers_one_decides_and_the_other_learns_who_and_when() -> None:
    rita, rolf = reviewers("rita", "rolf")
    for number in range(ROUNDS):
        store_documents(label=f"Round {number}")
        proposal = propose()
        refusals = at_once(
            lambda proposal=proposal: attempt(proposal, Verdict.APPROVE, rita),  # type: ignore[misc]
            lambda proposal=proposal: attempt(proposal, Verdict.REJECT, rolf),  # type: ignore[misc]
        )
        (decision,) = ProposalDecision.objects.filter(proposal=proposal)
        (refused,) = [refusal for refusal in refusals if refusal is not None]
        assert isinstance(refused, AlreadyDecided)
        when = f"{decision.decided_at:%Y-%m-%d %H:%M:%S} UTC"
        assert refused.detail.startswith(decision.decided_by)
        assert when in refused.detail
        applied = state_of(proposal) == "approved"
        assert applied == (decision.verdict == "approve")
        assert (Profile.objects.get().document["label"] == "Daily, slower") == applied


def test_of_an_approval_and_an_edit_neither_overwrites_the_other() -> None:
    (rita,) = reviewers("rita")

    def save(revision: int) -> OrbitError | None:
        document = profile(label="Mine")
        try:
            edit.save(
                PROFILE, "daily", document, actor=SYSTEM, source="api", expected=exactly(revision)
            )
        except OrbitError as refusal:
            return refusal
        return None

    for number in range(ROUNDS):
        store_documents(label=f"Round {number}")
        proposal = propose()
        base = proposal.base_revision
        refused, stale = at_once(
            lambda proposal=proposal: attempt(proposal, Verdict.APPROVE, rita),  # type: ignore[misc]
            lambda base=base: save(base),  # type: ignore[misc]
        )
        current = Profile.objects.get()
        assert current.revision == base + 1
        if refused is None:
            assert isinstance(stale, Stale)
            assert (state_of(proposal), current.label) == ("approved", "Daily, slower")
        else:
            assert isinstance(refused, Superseded)
            assert (stale, state_of(proposal), current.label) == (None, "superseded", "Mine")


def test_the_last_two_of_a_quorum_make_one_revision() -> None:
    store_documents()
    ApprovalPolicy.objects.create(namespace_id="eu", required_approvals=2)
    proposal = propose()
    rita, rolf = reviewers("rita", "rolf")
    refusals = at_once(
        lambda: attempt(proposal, Verdict.APPROVE, rita),
        lambda: attempt(proposal, Verdict.APPROVE, rolf),
    )
    assert refusals == [None, None]
    assert (state_of(proposal), ProfileRevision.objects.count()) == ("approved", 2)


@pytest.mark.parametrize("case", ["own", "expired", "superseded", "decided"])
def test_two_attacks_at_once_lead_no_further_than_one(case: str) -> None:
    store_documents()
    root = create_user("root", "Administrator")
    proposal = propose(root if case == "own" else "orbit", expired=case == "expired")
    if case == "superseded":
        store_documents(label="Another")
    if case == "decided":
        decide(proposal.pk, Verdict.REJECT, actor=reviewers("rita")[0], reason="no")
    before = ProposalDecision.objects.count(), ProfileRevision.objects.count()
    actor = actor_of(root)
    calls = [lambda: attempt(proposal, Verdict.APPROVE, actor)] * 3
    expected = {
        "own": OwnProposal,
        "expired": Expired,
        "superseded": Superseded,
        "decided": AlreadyDecided,
    }[case]
    assert {type(refusal) for refusal in at_once(*calls)} == {expected}
    assert (ProposalDecision.objects.count(), ProfileRevision.objects.count()) == before
    ended = AuditTrailEntry.objects.filter(action="proposal.ended").count()
    assert ended == (case in {"expired", "superseded"})


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in a process that is killed after its ``number``-th statement, if it has so
    many; tell whether it was.
    """
    statements = 0

    def execute(call: Callable[..., Any], *args: Any) -> Any:
        nonlocal statements
        statements += 1
        mine = statements  # another statement may run within this one
        result = call(*args)
        if mine == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            with connection.execute_wrapper(execute):
                work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}
    return status != 0


def test_an_approval_that_is_killed_anywhere_happened_whole_or_not_at_all() -> None:
    store_documents()
    proposal = propose()
    (rita,) = reviewers("rita")

    def approve() -> None:
        decide(proposal.pk, Verdict.APPROVE, actor=rita, reason="good")

    kills = 0
    while killed_at(kills + 1, approve):
        kills += 1
        assert state_of(proposal) == "pending"
        assert (ProposalDecision.objects.count(), ProfileRevision.objects.count()) == (0, 1)
        assert not AuditTrailEntry.objects.exists()
    assert kills > 15
    # The last one was killed by nothing: its answer may still be lost.
    assert state_of(proposal) == "approved"
    assert (ProposalDecision.objects.count(), ProfileRevision.objects.count()) == (1, 2)
    with pytest.raises(AlreadyDecided, match="You have approved this proposal already"):
        approve()


@pytest.mark.parametrize("fault", [lose_request, lose_answer])
def test_a_request_is_repeated_after_its_commit_had_no_answer(
    proxy: PostgresProxy, fault: Fault
) -> None:
    store_documents()
    proposal = propose()
    client, key = api(create_user("rita", "Reviewer")), str(uuid4())
    address = f"/strategy-proposals/{proposal.pk}/approve"
    proxy.on(commit_of('INSERT INTO "advisory_proposaldecision"'), fault)
    first = client.post(address, {"reason": "good"}, Idempotency_Key=key)
    assert first.status_code == 503
    assert ProposalDecision.objects.count() == (fault is lose_answer)
    again = [client.post(address, {"reason": "good"}, Idempotency_Key=key) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 200]
    assert again[0].json() == again[1].json()
    assert again[0].json()["state"] == "approved"
    assert (ProposalDecision.objects.count(), ProfileRevision.objects.count()) == (1, 2)
