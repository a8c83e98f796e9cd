"""Approval policies: who sets them, and which proposals they bind."""

from datetime import timedelta

import pytest

from advisory.decisions import policy
from advisory.decisions.policy import Policy, PolicyInvalid
from advisory.models import StrategyProposal
from governance.access.actors import Actor, NamespaceUnknown, NotAllowed
from governance.kernel import clock
from governance.kernel.reasons import ReasonInvalid
from governance.models import AuditTrailEntry
from tests.support.advice import propose, store_documents
from tests.support.callers import actor_of, api, create_user, problem

pytestmark = pytest.mark.django_db
ADDRESS = "/governance/namespaces/eu/approval-policy"


def configurator(*namespaces: str) -> Actor:
    return actor_of(create_user("carl", "Configurator", *namespaces))


def change(
    actor: Actor, approvals: int = 2, hours: int | None = None, namespace: str = "eu"
) -> Policy:
    return policy.change(
        namespace,
        required_approvals=approvals,
        expires_after_hours=hours,
        reason="audit",
        actor=actor,
    )


def stored(proposal: StrategyProposal) -> StrategyProposal:
    return StrategyProposal.objects.get(pk=proposal.pk)


def test_without_a_policy_one_approval_is_enough_at_any_time() -> None:
    store_documents()
    read = policy.of("eu", actor=configurator())
    assert (read.required_approvals, read.expires_after_hours) == (1, None)
    assert read.sentence == "A proposal needs one approval, and doesn't expire."


def test_a_change_is_audited_once_with_before_and_after() -> None:
    store_documents()
    carl = configurator()
    for _ in range(2):  # the second one changes nothing
        assert change(carl, 2, 48).sentence.startswith("A proposal needs 2 approvals")
    (entry,) = AuditTrailEntry.objects.filter(action="approval_policy.changed")
    assert (entry.object_id, entry.namespace, entry.reason) == ("eu", "eu", "audit")
    assert entry.before == {"required_approvals": 1, "expires_after_hours": None}
    assert entry.after == {"required_approvals": 2, "expires_after_hours": 48}


def test_the_strictest_policy_counts_of_all_namespaces_in_which_the_document_runs() -> None:
    store_documents("eu", "us")
    carl = configurator()
    change(carl, 2, 48, "us")
    change(carl, 1, 24, "eu")
    now = clock.read()
    # Also past Orbit's code, which works out the same.
    proposal = stored(propose(namespace="eu", required_approvals=1))
    assert proposal.required_approvals == 2
    assert proposal.expires_at is not None
    assert timedelta(hours=23) < proposal.expires_at - now < timedelta(hours=25)
    of_run_profile = stored(propose(namespace="us", run_profile_id="daily-us"))
    assert of_run_profile.expires_at is not None
    assert of_run_profile.expires_at - now > timedelta(hours=47)
    stricter = stored(propose(required_approvals=5, expired=True))
    assert (stricter.required_approvals, stricter.expires_at < now) == (5, True)  # type: ignore[operator]


def test_a_pending_proposal_keeps_what_was_in_force_when_it_was_made() -> None:
    store_documents()
    carl = configurator()
    change(carl, 3)
    proposal = propose()
    change(carl, 1)
    assert stored(proposal).required_approvals == 3


@pytest.mark.parametrize(("approvals", "hours"), [(0, None), (11, None), (1, 0), (1, 87_601)])
def test_numbers_out_of_range_are_refused(approvals: int, hours: int | None) -> None:
    store_documents()
    with pytest.raises(PolicyInvalid) as refused:
        change(configurator(), approvals, hours)
    assert refused.value.errors


def test_a_policy_is_set_by_who_may_configure_the_namespace() -> None:
    store_documents("eu", "us")
    with pytest.raises(NotAllowed):
        change(actor_of(create_user("rita", "Reviewer")))
    carl = configurator("us")
    with pytest.raises(NamespaceUnknown):
        change(carl)
    assert change(carl, namespace="us").required_approvals == 2
    with pytest.raises(NamespaceUnknown):
        policy.of("mars", actor=actor_of(create_user("anna", "Administrator")))
    with pytest.raises(ReasonInvalid):
        policy.change("us", required_approvals=1, expires_after_hours=None, reason=" ", actor=carl)


def test_rest_reads_and_sets_a_policy() -> None:
    store_documents()
    client = api(create_user("carl", "Configurator"))
    body = {"required_approvals": 2, "expires_after_hours": None, "reason": "two of us"}
    assert client.put(ADDRESS, body).json()["required_approvals"] == 2
    read = client.get(ADDRESS).json()
    assert (read["namespace"], read["required_approvals"]) == ("eu", 2)
    assert read["updated_at"]
    problem(client.put(ADDRESS, {**body, "required_approvals": 0}), 422, "invalid_body")
    problem(client.put(ADDRESS, {"required_approvals": 2}), 422, "invalid_body")
    problem(client.put("/governance/namespaces/no/approval-policy", {}), 404, "unknown_namespace")
    reader = api(create_user("vera", "Viewer"))
    problem(reader.put(ADDRESS, body), 403, "forbidden")
    assert reader.get(ADDRESS).status_code == 200
