"""Actions that ask for a reason: by page and by selection, without a script."""

import re
from typing import Any

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry, OperationRun
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver, http


@pytest.mark.django_db
def test_cancel_asks_for_a_reason_and_acts_with_it() -> None:
    cycle = active_cycle()
    browser = console(create_user())
    page = f"/admin/orbit/cyclerun/{cycle.pk}/cancel/"
    assert 'name="reason"' in browser.get(page).content.decode()
    for reason in ("", "   ", "a\x00b"):
        assert browser.post(page, {"reason": reason}).status_code in {200, 400}
    assert CycleRun.objects.get().status == "pending"
    answer = browser.post(page, {"reason": "wrong input"}, follow=True)
    assert "cancelled" in answer.content.decode()
    assert CycleRun.objects.get().status == "cancelled"
    assert AuditTrailEntry.objects.get(action="cycle.cancelled").reason == "wrong input"
    assert "/cancel/" not in answer.content.decode()
    # A refusal keeps what was typed.
    refused = browser.post(page, {"reason": "typed with care"}).content.decode()
    assert "has finished" in refused
    assert "typed with care</textarea>" in refused


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["Viewer", "Reviewer", "Configurator"])
def test_a_user_who_may_not_operate_gets_no_button_and_is_refused(role: str) -> None:
    cycle = active_cycle()
    browser = console(create_user("vic", role))
    pages = (
        browser.get(f"/admin/orbit/cyclerun/{cycle.pk}/change/").content.decode()
        + browser.get("/admin/orbit/cyclerun/").content.decode()
    )
    assert "/cancel/" not in pages
    assert "/trigger/" not in pages
    assert (
        browser.post(f"/admin/orbit/cyclerun/{cycle.pk}/cancel/", {"reason": "x"}).status_code
        == 403
    )
    assert browser.post("/admin/orbit/cyclerun/trigger/", {"reason": "x"}).status_code == 403
    browser.post(
        "/admin/orbit/cyclerun/",
        {"action": "cancel", "_selected_action": str(cycle.pk), "asked": "1", "reason": "x"},
    )
    assert CycleRun.objects.get().status == "pending"


@pytest.mark.django_db
def test_trigger_audits_its_reason_and_names_what_prevents_a_cycle() -> None:
    configure_profiles(r1={"namespace": "a"})
    browser = console(create_user())
    answer = browser.post(
        "/admin/orbit/cyclerun/trigger/",
        {"run_profile_id": "r1", "namespace": "", "reason": "by hand"},
        follow=True,
    )
    cycle = CycleRun.objects.get()
    assert answer.redirect_chain == [(f"/admin/orbit/cyclerun/{cycle.pk}/change/", 302)]
    assert (cycle.trigger, cycle.triggered_by, cycle.namespace_id) == ("admin", "ann", "a")
    assert AuditTrailEntry.objects.get(action="cycle.triggered").reason == "by hand"
    second_answer = browser.post(
        "/admin/orbit/cyclerun/trigger/", {"run_profile_id": "r1", "reason": "again"}
    )
    assert str(cycle.pk) in second_answer.content.decode()
    assert (
        browser.post(
            "/admin/orbit/cyclerun/trigger/", {"namespace": "nowhere", "reason": "x"}
        ).status_code
        == 200
    )
    assert CycleRun.objects.count() == 1


@pytest.mark.usefixtures("committed")
def test_a_selection_of_dead_letters_is_requeued_with_one_reason(settings: Any) -> None:
    with Receiver(http("410 Gone")) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        run_cycle(start_cycle())
    letter_ids = [str(pk) for pk in DeadLetterDispatch.objects.values_list("pk", flat=True)[:2]]
    browser = console(create_user())
    page = browser.post(
        "/admin/orbit/deadletterdispatch/", {"action": "requeue", "_selected_action": letter_ids}
    ).content.decode()
    assert all(f'name="ids" value="{pk}"' in page for pk in letter_ids)
    assert DispatchJob.objects.count() == 3
    form = {
        **dict(re.findall(r'name="(frozen|until)" value="([^"]*)"', page)),
        "ids": letter_ids,
        "reason": "Aurora is back",
        "endpoint": "snapshot",
        "rate": "10",
    }
    address = "/admin/orbit/deadletterdispatch/requeue-matching/"
    for words in ("takes 2 dead letters", "is active already and takes 2"):
        assert words in browser.post(address, form, follow=True).content.decode()
    run = OperationRun.objects.get()
    assert run.reason == "Aurora is back"
    assert {str(pk) for pk in run.items.values_list("object_id", flat=True)} == set(letter_ids)


@pytest.mark.django_db
def test_a_token_is_revoked_by_an_administrator() -> None:
    boss = create_user("adm", "Administrator")
    token, raw = tokens.create(boss, scopes=["read"], actor=SYSTEM)
    page = console(boss).get(f"/admin/governance/apitoken/{token.pk}/change/").content.decode()
    assert raw not in page
    assert token.token_hash not in page
    console(boss).post(f"/admin/governance/apitoken/{token.pk}/revoke/", {"reason": "lost"})
    assert tokens.authenticate(raw) is None
    assert AuditTrailEntry.objects.get(action="token.revoked").reason == "lost"


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["cancel", "run_again"])
def test_a_selection_of_missing_objects_does_nothing(action: str) -> None:
    browser = console(create_user("bea", "Operator", "open-ns"))
    cycle = active_cycle()
    form = {"action": action, "_selected_action": str(cycle.pk), "asked": "1", "reason": "x"}
    assert (
        "None of the selected objects is here any more."
        in browser.post("/admin/orbit/cyclerun/", form, follow=True).content.decode()
    )
    assert not OperationRun.objects.exists()
    assert not AuditTrailEntry.objects.filter(actor="bea").exists()
