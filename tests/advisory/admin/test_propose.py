"""A change of a profile that a user proposes from the profile's page."""

import json
from typing import Any

import pytest
from django.test import Client

from advisory.models import StrategyProposal
from orbit.models import Profile, RunProfile
from tests.support import advice, callers
from tests.support.callers import create_user

pytestmark = pytest.mark.django_db


def address(noun: str = "profile") -> str:
    row: Any = Profile.objects.get() if noun == "profile" else RunProfile.objects.get()
    return f"/admin/advisory/strategyproposal/propose/{noun}/{row.pk}/"


def send(client: Client, path: str, **changes: str) -> Any:
    """Send the form as it is rendered, with ``changes``."""
    form = client.get(path).context["form"]
    rendered = {field.name: field.value() for field in form if field.value() is not None}
    return client.post(path, {**rendered, "reason": "it reads better", **changes})


def test_the_profiles_page_leads_to_it_and_a_proposal_comes_of_it() -> None:
    advice.store_documents()
    client = callers.console(create_user("ann", "Operator"))
    profile = f"/admin/orbit/profile/{Profile.objects.get().pk}/change/"
    assert address() in client.get(profile).content.decode()
    answer = send(client, address(), title="Call it better", label="Better", _propose="1")
    proposal = StrategyProposal.objects.get()
    assert answer["Location"].endswith(f"{proposal.pk}/change/")
    assert proposal.patch == [{"op": "replace", "path": "/label", "value": "Better"}]
    assert (proposal.author, proposal.rule, proposal.title) == ("ann", "", "Call it better")
    assert proposal.rationale == "it reads better"
    assert Profile.objects.get().revision == 1
    assert "another user has to decide it" in client.get(answer["Location"]).content.decode()


def test_the_preview_proposes_nothing() -> None:
    advice.store_documents()
    client = callers.console(create_user("ann", "Operator"))
    page = send(client, address(), label="Better", reason="", _preview="1").content.decode()
    assert "Nothing is proposed yet." in page
    assert "<b>Better</b>" in page
    assert not StrategyProposal.objects.exists()


def test_no_change_and_what_no_proposal_may_change_are_refused_and_nothing_is_lost() -> None:
    advice.store_documents()
    client = callers.console(create_user("ann", "Operator"))
    page = send(client, address(), _propose="1").content.decode()
    assert "Nothing was proposed." in page
    assert "This changes nothing yet." in page
    moved = {**RunProfile.objects.get().document, "namespace": "us"}
    fields = {"document": json.dumps(moved), "reason": "move it", "_propose": "1"}
    page = send(client, address("runprofile"), **fields).content.decode()
    assert "A proposal can&#x27;t change /namespace" in page
    assert "move it" in page
    assert not StrategyProposal.objects.exists()


def test_a_document_that_was_saved_meanwhile_is_said() -> None:
    advice.store_documents()
    client = callers.console(create_user("ann", "Operator"))
    form = client.get(address()).context["form"]
    sent = {field.name: field.value() for field in form if field.value() is not None}
    advice.store_documents(label="By hand")
    page = client.post(address(), {**sent, "label": "Better", "reason": "r", "_propose": "1"})
    assert "Revision 2 of the profile daily is the current one" in page.content.decode()
    assert not StrategyProposal.objects.exists()


def test_a_viewer_cant_propose_and_who_doesnt_see_the_profile_finds_no_page() -> None:
    advice.store_documents()
    viewer = callers.console(create_user("vic", "Viewer"))
    profile = f"/admin/orbit/profile/{Profile.objects.get().pk}/change/"
    assert b"Propose a change" not in viewer.get(profile).content
    assert viewer.get(address()).status_code == 403
    assert callers.console(create_user("bea", "Operator", "us")).get(address()).status_code == 404
