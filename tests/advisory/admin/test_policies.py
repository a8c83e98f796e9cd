"""Approval policies in the console."""

import pytest

from advisory.models import ApprovalPolicy
from governance.models import AuditTrailEntry
from governance.namespaces import registry
from tests.support import callers
from tests.support.callers import create_user

pytestmark = pytest.mark.django_db

LIST = "/admin/advisory/approvalpolicy/"


def test_a_configurator_changes_one_with_a_reason() -> None:
    registry.ensure(["eu"])
    client = callers.console(create_user("con", "Configurator"))
    assert b"A proposal needs one approval, and doesn&#x27;t expire." in client.get(LIST).content
    fields = {"required_approvals": "2", "expires_after_hours": "72"}
    assert b"This field is required." in client.post(f"{LIST}eu/", fields).content
    answer = client.post(f"{LIST}eu/", {**fields, "reason": "two see more"}, follow=True)
    assert b"A proposal needs 2 approvals by different users within 72 hours" in answer.content
    assert ApprovalPolicy.objects.get().required_approvals == 2
    assert AuditTrailEntry.objects.order_by("-id")[0].reason == "two see more"


def test_others_only_read_and_only_their_namespaces() -> None:
    registry.ensure(["eu"])
    reviewer = callers.console(create_user("rev", "Reviewer"))
    assert b"Change<span" not in reviewer.get(LIST).content
    assert reviewer.get(f"{LIST}eu/").status_code == 403
    confined = callers.console(create_user("bea", "Configurator", "us"))
    assert b"<td>eu</td>" not in confined.get(LIST).content
    assert confined.get(f"{LIST}eu/").status_code == 404
