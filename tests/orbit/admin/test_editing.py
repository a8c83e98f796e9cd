"""The editor of profiles and run profiles in the console."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from governance.kernel.json_diff import ABSENT
from governance.models import AuditTrailEntry
from governance.namespaces import registry
from orbit.models import Profile, ProfileRevision, RunProfile
from orbit.schedules import ledger
from orbit.schedules.sync import RunProfileSchedules
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
TIERS = {"1": {"transformer": "template", "options": {"template": "x"}}}


@pytest.fixture
def browser() -> Client:
    return console(create_user("con", "Configurator"))


def path(row: Any, page: str = "change") -> str:
    return f"/admin/orbit/{row._meta.model_name}/{row.pk}/{page}/"


def fields(browser: Client, address: str) -> dict[str, str]:
    """Return the fields that an unchanged form would send."""
    context = browser.get(address).context
    return {bound.name: bound.value() for bound in context["form"] if bound.value() is not None}


def send(browser: Client, address: str, button: str = "_save", **changed: Any) -> Any:
    return browser.post(
        address, {**fields(browser, address), "reason": "because", button: "1", **changed}
    )


def errors(answer: Any) -> dict[str, list[str]]:
    return {name: list(messages) for name, messages in answer.context["form"].errors.items()}


def test_a_field_that_is_changed_is_saved_with_reason_and_one_audit_entry(browser: Client) -> None:
    store_profiles([profile(execution_rules={"tiers": TIERS}, style_vector={"tone": 0.7})], [])
    row = Profile.objects.get()
    answer = send(browser, path(row), label="Other", value_tags="a\r\n b \r\n\r\n")
    assert (answer.status_code, answer.headers["Location"]) == (302, path(row))
    row.refresh_from_db()
    assert row.document == profile(
        label="Other",
        execution_rules={"tiers": TIERS},
        style_vector={"tone": 0.7},
        value_tags=["a", "b"],
    )
    revision = ProfileRevision.objects.get(number=2)
    assert (revision.author, revision.source, revision.reason) == ("con", "admin", "because")
    entry = AuditTrailEntry.objects.get(action="profile.changed")
    assert (entry.actor, entry.reason, entry.after["label"]) == ("con", "because", "Other")
    assert "Revision 2 of daily saved." in browser.get(path(row)).content.decode()


def test_an_unchanged_form_changes_nothing(browser: Client) -> None:
    store_profiles(
        [profile(execution_rules={"tiers": TIERS}, value_tags=["x"])],
        [run_profile(distribution_targets=[], execution_policy={"max_lateness": 60})],
    )
    for row in (Profile.objects.get(), RunProfile.objects.get()):
        assert send(browser, path(row)).status_code == 302
        row.refresh_from_db()
        assert row.revision == 1
    assert not AuditTrailEntry.objects.exists()


def test_the_json_and_a_field_may_both_be_changed(browser: Client) -> None:
    store_profiles([profile()], [run_profile()])
    row = RunProfile.objects.get()
    document = {**row.document, "asset_bundle": {"logo": "x"}}
    assert (
        send(
            browser,
            path(row),
            document=json.dumps(document),
            cron="0 6 * * *",
            time_zone="Europe/Berlin",
            max_lateness="60",
        ).status_code
        == 302
    )
    row.refresh_from_db()
    assert row.document == {
        **document,
        "execution_policy": {"cron": "0 6 * * *", "time_zone": "Europe/Berlin", "max_lateness": 60},
    }
    assert send(browser, path(row), cron="", time_zone="").status_code == 302
    row.refresh_from_db()
    assert row.document["execution_policy"] == {"max_lateness": 60}


def test_json_and_a_field_that_contradict_each_other_are_refused(browser: Client) -> None:
    store_profiles([profile()], [])
    row = Profile.objects.get()
    answer = send(
        browser, path(row), document=json.dumps(profile(label="In JSON")), label="In the field"
    )
    assert "The JSON has 'In JSON' here" in errors(answer)["label"][0]
    assert (
        send(
            browser, path(row), document=json.dumps(profile(label="Same")), label="Same"
        ).status_code
        == 302
    )


def test_a_transformer_is_chosen_and_left_out(browser: Client) -> None:
    store_profiles([profile()], [])
    row = Profile.objects.get()
    assert send(browser, path(row), tier_2="passthrough").status_code == 302
    row.refresh_from_db()
    assert row.document["execution_rules"] == {"tiers": {"2": {"transformer": "passthrough"}}}
    assert send(browser, path(row), tier_2="").status_code == 302
    row.refresh_from_db()
    assert row.document["execution_rules"] == {"tiers": {}}


def test_each_error_is_shown_at_its_field_and_no_input_is_lost(
    browser: Client,
) -> None:
    store_profiles([profile()], [run_profile()])
    row = RunProfile.objects.get()
    document = json.dumps({**row.document, "more": 1})
    answer = send(
        browser,
        path(row),
        profile_id="who",
        cron="nonsense",
        time_zone="Mars",
        max_lateness="soon",
        document=document,
    )
    messages = errors(answer)
    assert set(messages) == {"profile_id", "cron", "time_zone", "max_lateness", "document"}
    assert messages["document"] == [
        "/more: Is unknown here. Known are: asset_bundle, distribution_targets, execution_policy,"
        " namespace, profile_id, run_profile_id, state, value_tags."
    ]
    page = answer.content.decode()
    assert 'href="#id_cron"' in page
    assert 'value="nonsense"' in page
    assert "because</textarea>" in page
    row.refresh_from_db()
    assert row.revision == 1


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "null",
        '{"a": 1, "a": 2}',
        '{"a": "\\u0000"}',
        "x" * 900_000,
        '{"profile_id": "other"}',
        "[" * 5000,
        "{}",
    ],
)
def test_invalid_json_is_an_error_at_the_json_field(browser: Client, document: str) -> None:
    store_profiles([profile()], [])
    answer = send(browser, path(Profile.objects.get()), document=document)
    assert answer.status_code == 200
    assert errors(answer)
    assert ProfileRevision.objects.count() == 1


def test_a_reason_is_asked_for_when_saving_and_not_for_a_preview(browser: Client) -> None:
    store_profiles([profile()], [run_profile()])
    row = Profile.objects.get()
    assert set(errors(send(browser, path(row), label="x", reason=" "))) == {"reason"}
    answer = send(browser, path(row), "_preview", label="New label", reason="")
    page = answer.content.decode()
    assert not answer.context["form"].errors
    assert [
        (change.pointer, change.before, change.after)
        for change in answer.context["preview"].changes
    ] == [("/label", "Daily", "New label")]
    assert "Instruction of the next cycle of daily-eu" in page
    assert 'value="New label"' in page
    assert ProfileRevision.objects.count() == 1
    answer = send(browser, path(row), "_preview", state="off")
    assert set(errors(answer)) == {"state"}


@pytest.mark.parametrize("button", ["_save", "_combine", "_other"])
def test_no_button_makes_a_profile_without_a_reason(browser: Client, button: str) -> None:
    answer = send(browser, "/admin/orbit/profile/add/", button, profile_id="new", reason="")
    assert set(errors(answer)) == {"reason"}
    assert not Profile.objects.exists()


def test_a_preview_of_a_run_profile_shows_its_next_instruction(browser: Client) -> None:
    store_profiles([profile(value_tags=["p"])], [run_profile()])
    answer = send(browser, path(RunProfile.objects.get()), "_preview", value_tags="r")
    ((name, instruction),) = answer.context["preview"].instructions
    assert (name, instruction.document["value_tags"]) == ("daily-eu", ["p", "r"])
    assert instruction.instruction_id in answer.content.decode()


def test_the_second_editor_sees_both_versions_and_loses_nothing(browser: Client) -> None:
    store_profiles([profile()], [])
    row = Profile.objects.get()
    typed = {**fields(browser, path(row)), "reason": "mine", "_save": "1", "label": "Mine"}
    assert (
        send(
            console(create_user("bea", "Configurator")),
            path(row),
            value_tags="theirs",
            reason="theirs first",
        ).status_code
        == 302
    )
    answer = browser.post(path(row), typed)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "bea saved revision 2" in page
    assert "theirs first" in page
    conflict = answer.context["conflict"]
    assert [(place.pointer, place.own, place.clash) for place in conflict.places] == [
        ("/label", "Mine", False),
        ("/value_tags", ABSENT, False),
    ]
    assert 'value="Mine"' in page
    row.refresh_from_db()
    assert (row.revision, row.label) == (2, "Daily")
    # Saving again overwrites only the revision that the user has seen.
    resubmission = {**typed, "latest": re.search(r'name="latest" value="(\d+)"', page)[1]}  # type: ignore[index]
    send(console(create_user("cat", "Configurator")), path(row), value_tags="third")
    assert "cat saved revision 3" in browser.post(path(row), resubmission).content.decode()
    assert browser.post(path(row), {**resubmission, "latest": "3"}).status_code == 302
    row.refresh_from_db()
    assert row.document == profile(label="Mine")


@pytest.mark.parametrize(
    "forged",
    [
        {"revision": "99"},
        {"revision": "x"},
        {"revision": ""},
        {"latest": "x"},
        {"latest": str(2**40)},
    ],
)
def test_a_forged_revision_saves_nothing(browser: Client, forged: dict[str, str]) -> None:
    store_profiles([profile()], [])
    assert send(browser, path(Profile.objects.get()), label="x", **forged).status_code in {200, 400}
    assert ProfileRevision.objects.count() == 1


def test_new_profiles_and_run_profiles_are_added(browser: Client) -> None:
    registry.ensure(["eu"])
    answer = send(browser, "/admin/orbit/profile/add/", profile_id="new", label="New")
    assert answer.status_code == 302
    assert Profile.objects.get().document["label"] == "New"
    assert set(
        errors(send(browser, "/admin/orbit/profile/add/", profile_id="new", label="Again"))
    ) == {"profile_id"}
    assert set(
        errors(send(browser, "/admin/orbit/profile/add/", profile_id="a b", label="\u202e"))
    ) == {"profile_id", "label"}
    assert (
        send(
            browser,
            "/admin/orbit/runprofile/add/",
            run_profile_id="r",
            profile_id="new",
            namespace="eu",
        ).status_code
        == 302
    )
    assert RunProfile.objects.get().namespace_id == "eu"
    assert set(
        errors(
            send(
                browser,
                "/admin/orbit/runprofile/add/",
                run_profile_id="s",
                profile_id="new",
                namespace="nowhere",
            )
        )
    ) == {"namespace"}


def test_a_user_who_may_not_configure_reads_and_changes_nothing() -> None:
    store_profiles([profile(label="<script>alert(1)</script>")], [run_profile()])
    row = Profile.objects.get()
    browser = console(create_user("op", "Operator"))
    page = browser.get(path(row)).content.decode()
    assert "<script>alert(1)" not in page
    assert 'name="_save"' not in page
    assert (
        browser.post(path(row), {"document": "{}", "reason": "x", "_save": "1"}).status_code == 403
    )
    assert browser.get("/admin/orbit/profile/add/").status_code == 403
    assert browser.post(path(row, "disable"), {"reason": "x"}).status_code in {403, 404}
    assert Profile.objects.get().revision == 1


def test_confined_users_edit_their_profiles_and_see_no_others() -> None:
    store_profiles(
        [profile("mine"), profile("both"), profile("theirs")],
        [
            run_profile("mine-a", "mine", "a"),
            run_profile("both-a", "both", "a"),
            run_profile("both-b", "both", "b"),
            run_profile("theirs-b", "theirs", "b"),
        ],
    )
    browser = console(create_user("con", "Configurator", "a"))
    own, shared, foreign = (
        Profile.objects.get(profile_id=name) for name in ("mine", "both", "theirs")
    )
    assert send(browser, path(own), label="x").status_code == 302
    assert 'name="_save"' not in browser.get(path(shared)).content.decode()
    assert (
        browser.post(path(shared), {"document": "{}", "reason": "x", "_save": "1"}).status_code
        == 403
    )
    for page in ("change", "history", "enable", "history/1"):
        assert browser.get(path(foreign, page)).status_code in {302, 404}
    answer = send(browser, path(RunProfile.objects.get(run_profile_id="mine-a")), namespace="b")
    assert set(errors(answer)) == {"namespace"}
    assert browser.get("/admin/orbit/profile/add/").status_code == 403
    assert "both-b" not in browser.get("/admin/orbit/runprofile/add/").content.decode()


def test_enable_and_disable_ask_for_a_reason(browser: Client) -> None:
    store_profiles([profile()], [run_profile()])
    row = RunProfile.objects.get()
    assert browser.post(path(row, "disable"), {"reason": " "}).status_code == 200
    assert browser.post(path(row, "disable"), {"reason": "too loud"}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.document["state"], row.revision) == ("disabled", "disabled", 2)
    assert AuditTrailEntry.objects.get().reason == "too loud"
    assert ">Enable<" in browser.get(path(row)).content.decode()
    assert browser.post(path(row, "enable"), {"reason": "fine"}).status_code == 302


def test_a_hidden_profile_is_shown_without_a_form(browser: Client) -> None:
    store_profiles([profile()], [])
    Profile.objects.update(hidden=True)
    page = browser.get(path(Profile.objects.get())).content.decode()
    assert 'name="_save"' not in page
    assert "hidden" in page


def test_a_check_shows_each_problem_without_a_reason_and_saves_nothing(browser: Client) -> None:
    store_profiles([profile()], [run_profile()])
    row = RunProfile.objects.get()
    answer = send(browser, path(row), "_check", cron="0 0 31 2 *", reason="")
    assert set(errors(answer)) == {"cron"}
    assert "Not valid yet." in answer.content.decode()
    answer = send(browser, path(row), "_check", cron="0 6 * * *", reason="")
    assert "Valid. Nothing is saved yet." in answer.content.decode()
    assert not AuditTrailEntry.objects.exists()


def test_a_check_while_typing_answers_with_the_errors_alone(browser: Client) -> None:
    store_profiles([profile()], [run_profile()])
    row = RunProfile.objects.get()
    typed = {**fields(browser, path(row)), "_check": "1", "cron": "<b>", "reason": ""}
    page = browser.post(path(row), typed, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert '<div id="id_cron_at" hx-swap-oob="true"><ul class="errorlist"' in page
    assert '<div id="id_time_zone_at" hx-swap-oob="true"></div>' in page
    assert "<b>" not in page
    viewer = console(create_user("vic", "Viewer"))
    assert viewer.post(path(row), typed, headers={"HX-Request": "true"}).status_code == 403


def test_both_versions_are_combined_and_shown_before_they_are_saved(browser: Client) -> None:
    store_profiles([profile(style_vector={"tone": 1})], [])
    row = Profile.objects.get()
    typed = {**fields(browser, path(row)), "reason": "mine", "label": "Mine"}
    other = console(create_user("bea", "Configurator"))
    assert send(other, path(row), value_tags="theirs").status_code == 302
    answer = browser.post(path(row), {**typed, "_combine": "1"})
    assert "Your changes are in revision 2 of bea" in answer.content.decode()
    assert Profile.objects.get().revision == 2
    combined = {
        bound.name: bound.value() for bound in answer.context["form"] if bound.value() is not None
    }
    assert (combined["label"], combined["value_tags"], combined["reason"]) == (
        "Mine",
        "theirs",
        "mine",
    )
    assert browser.post(path(row), {**combined, "_save": "1"}).status_code == 302
    assert Profile.objects.get().document == profile(
        label="Mine", style_vector={"tone": 1}, value_tags=["theirs"]
    )


def test_a_preview_shows_what_the_schedules_become(browser: Client) -> None:
    store_profiles([profile()], [run_profile(execution_policy={"cron": "0 6 * * *"})])
    RunProfileSchedules("UTC").follow()
    answer = send(browser, path(RunProfile.objects.get()), "_preview", cron="30 7 * * *")
    (effect,) = answer.context["effects"]
    assert (effect.was, effect.words) == ("At 06:00 every day", "At 07:30 every day")
    assert {(due.hour, due.minute) for due in effect.next_due_at} == {(7, 30)}
    answer = send(browser, path(Profile.objects.get()), "_preview", label="New")
    (effect,) = answer.context["effects"]
    assert (effect.schedule, effect.words) == ("run-profile:daily-eu", "At 06:00 every day")


def test_lists_show_the_last_outcome_the_next_run_and_the_switch_in_bulk(
    browser: Client, django_assert_max_num_queries
) -> None:
    store_profiles(
        [profile()],
        [
            *(
                run_profile(
                    f"r{number}", namespace=f"n{number}", execution_policy={"cron": "0 6 * * *"}
                )
                for number in range(20)
            ),
            run_profile("without"),
        ],
    )
    RunProfileSchedules("UTC").follow()
    ledger.enqueue_due()
    cycle = active_cycle("n1")
    type(cycle).objects.filter(pk=cycle.pk).update(run_profile_id="r1")
    for address in ("/admin/orbit/runprofile/", "/admin/orbit/profile/"):
        with django_assert_max_num_queries(30):
            page = browser.get(address).content.decode()
        assert f"/admin/orbit/cyclerun/{cycle.pk}/change/" in page
        assert ">Disable<" in page
        assert "06:00" in page
        assert "9000" not in page
