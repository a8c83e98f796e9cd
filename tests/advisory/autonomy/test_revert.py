"""Revert, what it refuses, and the doors to it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from advisory.autonomy.evaluate import evaluate
from advisory.autonomy.explain import explain
from advisory.autonomy.revert import ActionUnknown, AlreadyReverted, EditedSince, revert
from advisory.models import AutonomyAction
from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES
from governance.kernel.reasons import ReasonInvalid
from governance.models import AuditTrailEntry
from governance.namespaces import halts
from orbit.errors import DocumentInvalid
from orbit.models import Profile, ProfileRevision, RunProfile
from tests.support import advisory_signals, utc_day
from tests.support.advisory_signals import policy
from tests.support.callers import api, console, create_user
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
Write = Callable[..., None]


def configurator(*namespaces: str) -> Actor:
    return Actor("con", None, ROLES["Configurator"], frozenset(namespaces))


@pytest.fixture
def action(write: Write) -> AutonomyAction:
    store_profiles([profile()], [run_profile()])
    write(policy())
    low = advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    [action] = evaluate(low).actions
    return action


def test_the_revision_before_comes_back_as_a_new_one(action: AutonomyAction) -> None:
    reverted = revert(action.pk, actor=configurator("eu"), reason="the receiver was down")
    assert reverted is not None
    assert (reverted.reverted_by, reverted.reverted_revision) == ("con", 3)
    assert reverted.reverted_at is not None
    row = Profile.objects.get()
    assert (row.document, row.state, row.revision) == (profile(), "enabled", 3)
    revision = ProfileRevision.objects.get(number=3)
    assert (revision.author, revision.source) == ("con", "autonomy")
    entry = AuditTrailEntry.objects.get(action="autonomy.reverted")
    assert (entry.actor, entry.reason) == ("con", "the receiver was down")
    assert (entry.before, entry.after) == (profile(state="disabled"), profile())


def test_a_run_profile_comes_back_too(write: Write) -> None:
    store_profiles([profile()], [run_profile()])
    write(policy(do="disable_run_profile"))
    low = advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    [action] = evaluate(low).actions
    assert revert(action.pk, actor=SYSTEM, reason="wrong") is not None
    assert RunProfile.objects.get().state == "enabled"


def test_what_was_edited_since_stays_and_its_editor_is_named(action: AutonomyAction) -> None:
    store_profiles([profile(label="Mine")], [])
    with pytest.raises(EditedSince, match="saved by orbit"):
        revert(action.pk, actor=SYSTEM, reason="wrong")
    assert Profile.objects.get().revision == 3
    assert AutonomyAction.objects.get().reverted_at is None


def test_a_second_revert_is_told_of_the_first(action: AutonomyAction) -> None:
    revert(action.pk, actor=SYSTEM, reason="wrong")
    with pytest.raises(AlreadyReverted, match="orbit has reverted"):
        revert(action.pk, actor=SYSTEM, reason="wrong")


def test_who_may_not_edit_the_document_may_not_revert(action: AutonomyAction) -> None:
    operator = Actor("op", None, ROLES["Operator"], None)
    with pytest.raises(NotAllowed):
        revert(action.pk, actor=operator, reason="wrong")
    with pytest.raises(ActionUnknown):
        revert(action.pk, actor=configurator("us"), reason="wrong")
    with pytest.raises(ActionUnknown):
        revert(uuid4(), actor=SYSTEM, reason="wrong")
    with pytest.raises(ReasonInvalid):
        revert(action.pk, actor=SYSTEM, reason=" ")
    store_profiles([], [run_profile("daily-us", namespace="us")])
    with pytest.raises(NotAllowed, match="also runs in namespaces"):
        revert(action.pk, actor=configurator("eu"), reason="wrong")
    assert Profile.objects.get().state == "disabled"


def test_an_earlier_document_that_is_invalid_now_does_not_come_back(write: Write) -> None:
    tiers = {"execution_rules": {"tiers": {"1": {"transformer": "of another release"}}}}
    store_profiles([profile(**tiers)], [run_profile()])
    write(policy())
    low = advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    [action] = evaluate(low).actions
    with pytest.raises(DocumentInvalid, match="Revision 1 of the profile daily"):
        revert(action.pk, actor=SYSTEM, reason="wrong")


def test_rest_lists_shows_and_reverts(action: AutonomyAction, settings: Any) -> None:
    caller = api(create_user("con", "Configurator"))
    [listed] = caller.get("/autonomy/actions").json()["results"]
    assert listed["id"] == str(action.pk)
    assert listed["document"] == policy()
    path = f"/autonomy/actions/{action.pk}"
    assert caller.get(path).json() == listed
    settings.ORBIT_PHASE4_ENABLED = False
    off = caller.post(f"{path}/revert", {"reason": "wrong"})
    assert (off.status_code, off.json()["code"]) == (409, "autonomy_off")
    assert caller.get(path).json() == listed
    settings.ORBIT_PHASE4_ENABLED = True
    done = caller.post(f"{path}/revert", {"reason": "wrong"})
    assert (done.status_code, done.json()["reverted_by"]) == (200, "con")
    again = caller.post(f"{path}/revert", {"reason": "wrong"})
    assert (again.status_code, again.json()["code"]) == (409, "already_reverted")


def test_the_console_reverts(action: AutonomyAction, settings: Any) -> None:
    browser = console(create_user("con", "Configurator"))
    address = f"/admin/advisory/autonomyaction/{action.pk}"
    assert "Revert" in browser.get(f"{address}/change/").content.decode()
    settings.ORBIT_PHASE4_ALLOW_MUTATION = False
    answer = browser.post(f"{address}/revert/", {"asked": "1", "reason": "wrong"}, follow=True)
    assert "Autonomy is off" in answer.content.decode()
    settings.ORBIT_PHASE4_ALLOW_MUTATION = True
    answer = browser.post(f"{address}/revert/", {"asked": "1", "reason": "wrong"}, follow=True)
    assert "daily has revision 3 now" in answer.content.decode()
    assert Profile.objects.get().state == "enabled"


def test_the_command_lists_and_reverts(
    action: AutonomyAction, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("autonomy", "list")
    assert str(action.pk) in capsys.readouterr().out
    call_command("autonomy", "revert", str(action.pk), "--reason", "wrong", "--json")
    assert json.loads(capsys.readouterr().out)["reverted_revision"] == 3
    call_command("autonomy", "list", "--json")
    [row] = json.loads(capsys.readouterr().out)["results"]
    assert row["reverted_by"].startswith("command:")


def test_policies_say_what_keeps_them_from_acting(
    write: Write, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store_profiles(
        [profile(), profile("off", state="disabled")],
        [run_profile(), run_profile("daily-us", namespace="us"), run_profile("off-eu", "off")],
    )
    write(
        policy("first", profiles=["daily", "off", "gone"], namespaces=["eu", "nowhere"]),
        policy("second", do="disable_run_profile", max_per_day=1),
    )
    utc_day.wait_for_room()
    advisory_signals.action("daily", "eu", policy="second")
    halts.halt("eu", actor=SYSTEM, reason="storm")
    statuses = explain()
    assert statuses is not None
    first, second = (" ".join(status.obstacles) for status in statuses)
    for words in (
        "eu is halted",
        "There is no namespace nowhere.",
        "There is no profile gone.",
        "off is disabled already",
        "daily also runs in us",
    ):
        assert words in first
    assert "max_per_day" in second
    assert "also runs" not in second
    call_command("autonomy", "policies")
    assert "first: disable_profile after 1 window of" in capsys.readouterr().out
    call_command("autonomy", "policies", "--json")
    assert len(json.loads(capsys.readouterr().out)["policies"]) == 2
    settings.ORBIT_PHASE4_ENABLED = False
    call_command("autonomy", "policies")
    assert "ORBIT_PHASE4_ENABLED must be true" in capsys.readouterr().out
