"""Revisions in the console: the list, the difference of any two, and the way back."""

from typing import Any

import pytest

from governance.models import AuditTrailEntry
from orbit.models import Profile, ProfileRevision, RunProfile, RunProfileRevision
from tests.support.callers import console, create_user
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Any:
    for label in ("First", "Second", "<script>alert(3)</script>"):
        store_profiles([profile(label=label)], [run_profile()])
    return Profile.objects.get()


def test_revisions_are_listed_with_who_when_and_why_and_any_two_compared(row: Any) -> None:
    browser = console(create_user("vic", "Viewer"))
    page = browser.get(f"/admin/orbit/profile/{row.pk}/history/").content.decode()
    assert "orbit" in page
    assert "Roll back" not in page
    answer = browser.get(f"/admin/orbit/profile/{row.pk}/history/?a=1&b=3")
    assert [(change.pointer, change.before) for change in answer.context["comparison"].changes] == [
        ("/label", "First")
    ]
    assert "<script>alert" not in answer.content.decode()
    assert (
        "There is no revision 9"
        in browser.get(f"/admin/orbit/profile/{row.pk}/history/?a=9&b=1").content.decode()
    )
    for query in ("a=x&b=1", "a=99999999999&b=1", "before=x", "before=2", "a=%00"):
        assert browser.get(f"/admin/orbit/profile/{row.pk}/history/?{query}").status_code in {
            200,
            400,
        }


def test_restoring_needs_a_reason_and_makes_a_revision(row: Any) -> None:
    browser = console(create_user("con", "Configurator"))
    path = f"/admin/orbit/profile/{row.pk}/history/1/"
    page = browser.get(path).content.decode()
    assert "Roll back to this revision</button>" in page
    assert (
        "Roll back to this revision"
        in browser.get(f"/admin/orbit/profile/{row.pk}/history/").content.decode()
    )
    assert browser.post(path, {"reason": "", "over": "3"}).status_code == 200
    assert browser.post(path, {"reason": "it was better", "over": "3"}).status_code == 302
    assert ProfileRevision.objects.get(number=4).document == profile(label="First")
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.reason) == ("profile.changed", "back to revision 1: it was better")


def test_restoring_over_an_unseen_revision_is_refused(row: Any) -> None:
    browser = console(create_user("con", "Configurator"))
    answer = browser.post(f"/admin/orbit/profile/{row.pk}/history/1/", {"reason": "x", "over": "2"})
    assert "Revision 3 of the profile daily is the current one" in answer.content.decode()
    assert ProfileRevision.objects.count() == 3


def test_only_a_user_who_may_configure_restores(row: Any) -> None:
    assert (
        console(create_user("op", "Operator"))
        .post(f"/admin/orbit/profile/{row.pk}/history/1/", {"reason": "x", "over": "3"})
        .status_code
        == 403
    )
    assert (
        console(create_user("con", "Configurator"))
        .get(f"/admin/orbit/profile/{row.pk}/history/9/")
        .status_code
        == 404
    )
    assert console(create_user("bea", "Configurator", "us")).get(
        f"/admin/orbit/profile/{row.pk}/history/1/"
    ).status_code in {302, 404}


def test_a_profile_that_runs_elsewhere_too_is_not_offered_to_a_confined_user(row: Any) -> None:
    store_profiles([], [run_profile("daily-b", namespace="b")])
    path = f"/admin/orbit/profile/{row.pk}/history/1/"
    for user, offers, status in (
        (create_user("con", "Configurator", "b"), False, 403),
        (create_user("cas", "Configurator"), True, 302),
    ):
        browser = console(user)
        page = browser.get(path).content.decode()
        assert ("Roll back to this revision</button>" in page) == offers
        assert browser.post(path, {"reason": "why not", "over": "3"}).status_code == status


def test_a_hidden_profile_comes_back_by_its_revision(row: Any) -> None:
    Profile.objects.update(hidden=True)
    browser = console(create_user("con", "Configurator"))
    path = f"/admin/orbit/profile/{row.pk}/history/3/"
    assert "Roll back to this revision</button>" in browser.get(path).content.decode()
    assert browser.post(path, {"reason": "needed", "over": "3"}).status_code == 302
    row.refresh_from_db()
    assert (row.hidden, row.revision) == (False, 3)
    assert AuditTrailEntry.objects.filter(action="profile.changed").count() == 1


def test_confined_users_see_no_revision_of_another_namespace() -> None:
    store_profiles([profile()], [run_profile(namespace="us", asset_bundle={"secret": "of-us"})])
    store_profiles([], [run_profile(namespace="eu")])
    browser = console(create_user("bea", "Configurator", "eu"))
    run = RunProfile.objects.get()
    answer = browser.get(f"/admin/orbit/runprofile/{run.pk}/history/")
    assert [row.number for row in answer.context["revisions"]] == [2]
    assert browser.get(f"/admin/orbit/runprofile/{run.pk}/history/1/").status_code == 404
    revisions_shown = browser.get("/admin/orbit/runprofilerevision/").context["cl"].result_list
    assert [row.number for row in revisions_shown] == [2]
    first = RunProfileRevision.objects.get(number=1)
    assert browser.get(f"/admin/orbit/runprofilerevision/{first.pk}/change/").status_code == 404
    assert (
        "of-us"
        not in browser.get(f"/admin/orbit/runprofile/{run.pk}/history/?a=1&b=2").content.decode()
    )
