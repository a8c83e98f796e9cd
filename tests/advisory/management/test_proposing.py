"""`manage.py proposals`: making and reading them."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from advisory.errors import ProposalUnknown
from advisory.models import StrategyProposal
from advisory.proposals.patches import PatchInvalid
from governance.access.actors import operator
from governance.kernel.strict_json import StrictJsonError
from tests.support import advisory_signals
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
DISABLE = '[{"op": "replace", "path": "/state", "value": "disabled"}]'


@pytest.fixture(autouse=True)
def daily() -> None:
    store_profiles([profile()], [run_profile()])


def results(capsys: Any, *arguments: str) -> Any:
    call_command("proposals", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def create(*arguments: str, patch: str = DISABLE) -> None:
    call_command("proposals", "create", *arguments, "--patch", patch, "--rationale", "It fails.")


def test_a_command_proposes_lists_and_shows(capsys: Any) -> None:
    create("--profile", "daily")
    create("--run-profile", "daily-eu")
    capsys.readouterr()
    newest, oldest = results(capsys, "list", "--state", "pending")["results"]
    assert (newest["run_profile_id"], oldest["profile_id"]) == ("daily-eu", "daily")
    assert oldest["author"] == operator().name
    call_command("proposals", "show", oldest["id"])
    text = capsys.readouterr().out
    assert "ok: Revision 1 is still current" in text
    assert "no: You are its author" in text


def test_what_it_refuses(capsys: Any) -> None:
    with pytest.raises(StrictJsonError, match="--patch isn't JSON"):
        create("--profile", "daily", patch="[{]")
    with pytest.raises(PatchInvalid):
        create("--profile", "daily", patch="{}")
    with pytest.raises(ProposalUnknown):
        call_command("proposals", "show", "x")
    assert not StrategyProposal.objects.exists()


def test_bytes_of_the_terminal_that_are_not_utf_8_are_replaced(capsys: Any) -> None:
    arguments = ["--profile", "daily", "--patch", DISABLE, "--title", "T\udcff"]
    call_command("proposals", "create", *arguments, "--rationale", "It \udcfffails.")
    proposal = StrategyProposal.objects.get()
    assert (proposal.title, proposal.rationale) == ("T?", "It ?fails.")


def test_it_generates_or_says_why_there_is_none(capsys: Any) -> None:
    call_command("proposals", "generate", "daily")
    assert capsys.readouterr().out == "No signal says low_performance: insufficient_data.\n"
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    (made,) = results(capsys, "generate", "daily")["results"]
    assert (made["author"], made["requested_by"]) == ("orbit", operator().name)
