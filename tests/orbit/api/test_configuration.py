"""POST /config/reload and GET /config/diff."""

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from governance.models import AuditTrailEntry
from orbit.models import Profile
from orbit.profiles import reload
from tests.support.callers import api, create_user, problem
from tests.support.configuration import (
    active_cycle,
    profile,
    run_profile,
    store_profiles,
    write_profiles,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = []
    write_profiles(tmp_path, [profile()], [run_profile()])
    return tmp_path


def test_a_reload_answers_what_it_did_and_is_one_audit_entry(folder: Path) -> None:
    client = api(create_user("con", "Configurator"))
    answer = client.post("/config/reload", {"reason": "as agreed"})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "created": ["profiles/daily", "run-profiles/daily-eu"],
            "changed": [],
            "hidden": [],
            "unchanged": 0,
            "namespaces": ["eu"],
        },
    )
    entry = AuditTrailEntry.objects.get(action="config.reloaded")
    assert (entry.actor, entry.reason, entry.object_id, entry.request_id) == (
        "con",
        "as agreed",
        "reload",
        answer.headers["X-Request-ID"],
    )
    assert client.post("/config/reload").json()["unchanged"] == 2


def test_a_reload_is_refused_while_a_cycle_is_active_and_names_it(folder: Path) -> None:
    cycle = active_cycle()
    refusal = problem(
        api(create_user("con", "Configurator")).post("/config/reload"), 409, "cycles_active"
    )
    assert refusal["active_cycle_run_ids"] == [str(cycle.pk)]
    assert "cancel" in refusal["detail"]
    assert not Profile.objects.exists()


def test_every_error_of_files_and_endpoints_comes_with_file_and_pointer(
    folder: Path, settings
) -> None:
    write_profiles(folder, [profile(state="on", more=1)], [run_profile(namespace="a\u202e")])
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [{"key": "hook", "url": "http://10.0.0.1/x", "method": "POST", "token": "t"}]
    )
    client = api(create_user("con", "Configurator"))
    for answer in (client.post("/config/reload"), client.get("/config/diff")):
        refusal = problem(answer, 422, "config_invalid")
        assert {(error["file"], error["pointer"]) for error in refusal["errors"]} == {
            ("profiles.json", "/0/state"),
            ("profiles.json", "/0/more"),
            ("runProfiles.json", "/0/namespace"),
            ("ORBIT_DISPATCH_ENDPOINTS", "/0/url"),
        }
    write_profiles(folder, [profile()], [run_profile()])
    refusal = problem(client.get("/config/diff"), 422, "endpoints_invalid")
    assert [(error["file"], error["pointer"]) for error in refusal["errors"]] == [
        ("ORBIT_DISPATCH_ENDPOINTS", "/0/url")
    ]


def test_the_drift_lists_every_difference_with_its_pointer(folder: Path) -> None:
    client = api(create_user("vic", "Viewer"))
    reload.load_at_start()
    assert client.get("/config/diff").json() == {"same": True, "total": 0, "differences": []}
    store_profiles([profile(label="By hand")], [])
    drift = client.get("/config/diff").json()
    assert drift == {
        "same": False,
        "total": 1,
        "differences": [
            {
                "file": "profiles.json",
                "id": "daily",
                "pointer": "/label",
                "in_files": "Daily",
                "in_database": "By hand",
            }
        ],
    }


def test_both_need_the_whole_workspace_and_a_reload_needs_configure(folder: Path) -> None:
    for who, read, write_ in (
        (create_user("bea", "Configurator", "eu"), 403, 403),
        (create_user("vic", "Viewer"), 200, 403),
    ):
        client = api(who)
        assert client.get("/config/diff").status_code == read
        problem(
            client.post("/config/reload", b"\xff"),
            write_ if who.username == "vic" else 400,
            "forbidden" if who.username == "vic" else "malformed_json",
        )
    problem(api(User.objects.get(username="bea")).post("/config/reload"), 403, "forbidden")
    assert not Profile.objects.exists()


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": 7}, {"more": 1}])
def test_an_invalid_body_is_refused(folder: Path, body: dict[str, object]) -> None:
    problem(
        api(create_user("con", "Configurator")).post("/config/reload", body), 422, "invalid_body"
    )
