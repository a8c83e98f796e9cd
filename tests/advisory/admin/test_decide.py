"""Proposals in the console: the page on which one is decided."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from advisory.models import AdvisorySignal, ProposalDecision, StrategyProposal
from advisory.states import Proposal
from orbit.models import Profile
from tests.support import advice, advisory_signals, callers, recorded_cycles
from tests.support.callers import create_user

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
INBOX = "/admin/advisory/strategyproposal/"


def address(proposal: StrategyProposal) -> str:
    return f"{INBOX}{proposal.pk}/change/"


def page(client: Client, proposal: StrategyProposal) -> Any:
    return client.get(address(proposal))


def decide(client: Client, proposal: StrategyProposal, verdict: str, **fields: str) -> Any:
    """Press a button on the page, as a browser does."""
    shown = page(client, proposal)
    assert f'value="{verdict}"' in shown.content.decode(), "there is no such button"
    values = {
        "reason": "it reads well",
        "seen": shown.context["page"].seen,
        "verdict": verdict,
        **fields,
    }
    return client.post(address(proposal), values)


def test_a_reviewer_sees_what_changes_and_why_and_approves_it() -> None:
    advice.store_documents()
    proposal = advice.propose(rationale="It failed in 12 of 30 cycles.")
    client = callers.console(create_user("rev", "Reviewer"))
    text = page(client, proposal).content.decode()
    assert "It failed in 12 of 30 cycles." in text
    assert "<b>, slower</b>" in text
    assert "Waits for you" in text
    answer = decide(client, proposal, "approve")
    assert (answer.status_code, answer["Location"]) == (302, address(proposal))
    assert Profile.objects.get().document["label"] == "Daily, slower"
    decided = page(client, proposal).content.decode()
    assert "Approved by rev at 20" in decided
    assert "roll back to revision 1" in decided
    assert 'value="approve"' not in decided
    (decision,) = ProposalDecision.objects.all()
    assert decision.seen_sha256 in decided


def test_a_page_takes_few_statements() -> None:
    advice.store_documents()
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    proposal = advice.propose(signal=AdvisorySignal.objects.get())
    recorded_cycles.record(5)
    client = callers.console(create_user("rev", "Reviewer"))
    with CaptureQueriesContext(connection) as statements:
        page(client, proposal)
    assert len(statements) <= 30


def test_a_rejection_changes_nothing_and_its_reason_is_shown() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("rev", "Reviewer"))
    decide(client, proposal, "reject", reason=f"no: {HOSTILE}")
    text = page(client, proposal).content.decode()
    assert "Rejected by rev at 20" in text
    assert HOSTILE not in text
    assert Profile.objects.get().revision == 1


def test_without_a_reason_nothing_is_decided_and_the_verdict_is_nobodys_default() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("rev", "Reviewer"))
    assert decide(client, proposal, "approve", reason=" ").status_code == 400
    answer = client.post(address(proposal), {"reason": "typed, then Enter"})
    assert answer.status_code == 400
    assert "Press Approve or Reject." in answer.content.decode()
    assert "typed, then Enter" in answer.content.decode()
    assert not ProposalDecision.objects.exists()


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("Viewer", "A reviewer or an administrator has to decide it."),
        ("Operator", "A reviewer or an administrator has to decide it."),
        ("Configurator", "A reviewer or an administrator has to decide it."),
    ],
)
def test_who_may_not_decide_reads_who_may_and_cant_post_it_either(role: str, sentence: str) -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("ann", role))
    text = page(client, proposal).content.decode()
    assert sentence in text
    assert 'name="verdict"' not in text
    answer = client.post(address(proposal), {"reason": "mine", "verdict": "approve"})
    assert answer.status_code == 403
    assert not ProposalDecision.objects.exists()


def test_ones_own_proposal_has_a_sentence_instead_of_the_buttons() -> None:
    advice.store_documents()
    user = create_user("rev", "Reviewer")
    proposal = advice.propose(user)
    client = callers.console(user)
    text = page(client, proposal).content.decode()
    assert "This is your own proposal: another user has to decide it." in text
    assert 'name="verdict"' not in text
    answer = client.post(address(proposal), {"reason": "mine", "verdict": "approve"})
    assert answer.status_code == 403
    assert advice.state_of(proposal) == Proposal.PENDING


def test_who_comes_second_is_told_who_decided_and_when() -> None:
    advice.store_documents()
    proposal = advice.propose()
    first = callers.console(create_user("rev", "Reviewer"))
    second = callers.console(create_user("bea", "Reviewer"))
    seen = page(second, proposal).context["page"].seen
    decide(first, proposal, "reject", reason="not now")
    values = {"reason": "I like it", "seen": seen, "verdict": "approve"}
    answer = second.post(address(proposal), values)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "has rejected this proposal already, at 20" in text
    assert "Rejected by rev at 20" in text
    assert "Your reason was not saved: I like it" in text
    assert 'name="verdict"' not in text


def test_a_document_that_moved_on_is_said_before_and_after_the_decision() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("rev", "Reviewer"))
    seen = page(client, proposal).context["page"].seen
    advice.store_documents(label="By hand")
    text = page(client, proposal).content.decode()
    assert "Superseded: revision 2 of the profile daily was saved by orbit at 20" in text
    assert 'name="verdict"' not in text
    values = {"reason": "late", "seen": seen, "verdict": "approve"}
    assert client.post(address(proposal), values).status_code == 409
    assert advice.state_of(proposal) == Proposal.SUPERSEDED
    assert "Superseded at 20" in page(client, proposal).content.decode()


def test_a_proposal_whose_time_is_over_says_that_this_means_no() -> None:
    advice.store_documents()
    proposal = advice.propose(expired=True)
    client = callers.console(create_user("rev", "Reviewer"))
    text = page(client, proposal).content.decode()
    assert "that means no" in text
    assert "</svg> expired</span>" in text
    assert 'name="verdict"' not in text


def test_a_quorum_counts_approvals_and_tells_who_gave_one() -> None:
    advice.store_documents()
    proposal = advice.propose(required_approvals=2)
    first = callers.console(create_user("rev", "Reviewer"))
    second = callers.console(create_user("bea", "Reviewer"))
    decide(first, proposal, "approve")
    text = page(first, proposal).content.decode()
    assert "You have approved by rev" not in text
    assert "You approved it at 20" in text
    assert "1 of 2 approvals" in text
    decide(second, proposal, "approve")
    assert advice.state_of(proposal) == Proposal.APPROVED


def test_a_page_that_shows_something_else_than_is_there_now_decides_nothing() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("rev", "Reviewer"))
    answer = decide(client, proposal, "approve", seen="0" * 64)
    assert answer.status_code == 409
    assert "has changed since you saw it" in answer.content.decode()
    assert advice.state_of(proposal) == Proposal.PENDING


def test_a_post_without_the_digest_of_the_page_decides_nothing() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("rev", "Reviewer"))
    answer = client.post(address(proposal), {"reason": "forged", "verdict": "approve"})
    assert answer.status_code == 409
    assert "has changed since you saw it" in answer.content.decode()
    assert advice.state_of(proposal) == Proposal.PENDING


def test_text_of_others_is_shown_as_text() -> None:
    advice.store_documents(label=HOSTILE)
    proposal = advice.propose(
        title=HOSTILE,
        rationale=HOSTILE,
        evidence={HOSTILE: HOSTILE},
        requested_by=HOSTILE,
        patch=[{"op": "replace", "path": "/label", "value": f"{HOSTILE}2"}],
    )
    client = callers.console(create_user("rev", "Reviewer"))
    for path in (address(proposal), INBOX, "/admin/"):
        text = client.get(path).content.decode()
        assert HOSTILE not in text, path
        assert "&lt;script&gt;alert(1)" in text, path


def test_users_who_are_confined_elsewhere_get_404() -> None:
    advice.store_documents()
    proposal = advice.propose()
    client = callers.console(create_user("bea", "Reviewer", "us"))
    assert page(client, proposal).status_code == 404
    values = {"reason": "mine", "verdict": "approve"}
    assert client.post(address(proposal), values).status_code == 404
    assert b"Call it slower" not in client.get(INBOX).content
    assert b"Call it slower" not in client.get("/admin/").content


def test_a_profile_that_also_runs_elsewhere_isnt_decided_by_who_doesnt_see_that() -> None:
    advice.store_documents("eu", "us")
    proposal = advice.propose()
    client = callers.console(create_user("bea", "Reviewer", "eu"))
    text = page(client, proposal).content.decode()
    assert "namespaces that you may not see" in text
    assert 'name="verdict"' not in text
