"""`manage.py proposals`: deciding, and approval policies."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from advisory.decisions.policy import PolicyInvalid
from advisory.decisions.probation import ProbationInvalid
from advisory.errors import AlreadyDecided, ChangedSinceSeen, OwnProposal, ProposalUnknown
from advisory.models import Probation, ProposalDecision
from governance.access.actors import operator
from governance.kernel.reasons import ReasonInvalid
from tests.support.advice import propose, state_of, store_documents
from tests.support.callers import create_user

pytestmark = pytest.mark.django_db


def proposals(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run the command with ``--json`` and return its document."""
    call_command("proposals", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_a_command_approves_as_its_operating_systems_user(capsys: Any) -> None:
    store_documents()
    proposal = propose(create_user("paul"))
    document = proposals(capsys, "approve", str(proposal.pk), "--reason", "good")
    assert (document["state"], document["applied_revision"]) == ("approved", 2)
    decision = ProposalDecision.objects.get()
    assert (decision.decided_by, decision.decided_by_user) == (operator().name, None)
    assert document["seen_sha256"] == decision.seen_sha256
    with pytest.raises(AlreadyDecided, match="You have approved"):
        call_command("proposals", "reject", str(proposal.pk), "--reason", "no")


def test_it_says_what_happened_in_a_sentence(capsys: Any) -> None:
    store_documents()
    call_command("proposals", "reject", str(propose().pk), "--reason", "no")
    assert capsys.readouterr().out == "Rejected. The profile daily stays as it is.\n"


def test_a_command_never_decides_what_a_command_of_the_same_user_proposed() -> None:
    store_documents()
    proposal = propose(operator().name)
    with pytest.raises(OwnProposal):
        call_command("proposals", "approve", str(proposal.pk), "--reason", "mine")
    assert state_of(proposal) == "pending"


def test_an_approval_on_probation(capsys: Any) -> None:
    store_documents()
    proposal = propose()
    proposals(capsys, "approve", str(proposal.pk), "--reason", "try", "--cycles", "10")
    assert Probation.objects.get().cycles == 10


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("approve", "{}", "--reason", " "), ReasonInvalid),
        (("approve", str(uuid4()), "--reason", "r"), ProposalUnknown),
        (("reject", "seven", "--reason", "r"), ProposalUnknown),
        (("approve", "{}", "--reason", "r", "--seen", "0" * 64), ChangedSinceSeen),
        (("approve", "{}", "--reason", "r", "--cycles", "0"), ProbationInvalid),
        (("approve", "{}", "--reason", "r", "--until", "Friday"), ProbationInvalid),
        (("policy", "eu", "--approvals", "2"), ReasonInvalid),
        (("policy", "eu", "--approvals", "0", "--reason", "r"), PolicyInvalid),
        (("policy", "eu", "--expires", "soon", "--reason", "r"), PolicyInvalid),
    ],
)
def test_a_refusal(arguments: tuple[str, ...], refusal: type[Exception]) -> None:
    store_documents()
    proposal = propose()
    with pytest.raises(refusal):
        call_command("proposals", *(word.format(proposal.pk) for word in arguments))
    assert state_of(proposal) == "pending"


def test_a_policy_is_set_in_parts_and_shown(capsys: Any) -> None:
    store_documents()
    proposals(capsys, "policy", "eu", "--approvals", "2", "--reason", "r")
    proposals(capsys, "policy", "eu", "--expires", "48", "--reason", "r")
    shown = {"namespace": "eu", "required_approvals": 2, "expires_after_hours": 48}
    assert proposals(capsys, "policy", "eu") == shown
    call_command("proposals", "policy", "eu", "--expires", "never", "--reason", "r")
    assert capsys.readouterr().out == (
        "eu: A proposal needs 2 approvals by different users, and doesn't expire.\n"
    )
