"""The command `config`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from governance.models import AuditTrailEntry
from orbit.errors import CyclesActive
from orbit.management.commands import config
from orbit.models import Profile, RunProfile
from orbit.profiles import reload
from orbit.profiles.files import ConfigInvalid
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


def run(capsys, *words: str) -> tuple[int, str]:
    code = 0
    try:
        call_command("config", *words)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    return code, capsys.readouterr().out


def run_json(capsys, *words: str) -> tuple[int, Any]:
    code, out = run(capsys, *words, "--json")
    return code, json.loads(out)


def test_check_accepts_valid_files(folder: Path, capsys) -> None:
    assert run(capsys, "check") == (0, "The configuration is valid: 1 profile, 1 run profile.\n")
    assert run_json(capsys, "check") == (
        0,
        {"valid": True, "profiles": 1, "run_profiles": 1, "policies": 0, "warnings": []},
    )


def test_json_is_accepted_before_the_action_too(folder: Path, capsys) -> None:
    code, out = run(capsys, "--json", "check")
    assert (code, json.loads(out)["valid"]) == (0, True)


def test_check_names_every_error_of_the_files(folder: Path, capsys) -> None:
    write_profiles(folder, [profile(state="on")], [run_profile(profile_id="who", more=1)])
    code, document = run_json(capsys, "check")
    assert (code, document["code"]) == (2, "config_invalid")
    assert {(error["file"], error["pointer"]) for error in document["errors"]} == {
        ("profiles.json", "/0/state"),
        ("runProfiles.json", "/0/more"),
        ("runProfiles.json", "/0/profile_id"),
    }
    with pytest.raises(ConfigInvalid, match="/0/state"):
        call_command("config", "check")


def test_each_problem_is_a_line_and_a_name_in_the_files_begins_none(folder: Path, capsys) -> None:
    write_profiles(folder, [profile(state="on", **{"a\n\x1bb": 1})], [run_profile(more=1)])
    with pytest.raises(SystemExit):
        config.Command().run_from_argv(["manage.py", "config", "check"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "orbit: The configuration can't be used:"
    assert {line.partition(": ")[0] for line in lines[1:]} == {
        "profiles.json#/0/state",
        r"profiles.json#/0/a\n\x1bb",
        "runProfiles.json#/0/more",
    }


def test_a_byte_order_mark_is_named_with_what_to_do(folder: Path) -> None:
    path = folder / "profiles.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with pytest.raises(ConfigInvalid, match=r"byte order mark.+without one"):
        call_command("config", "check")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_named_and_not_waited_for(folder: Path, kind: str) -> None:
    path = folder / "profiles.json"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(ConfigInvalid, match=r"profiles.json: (Is no plain file|.*Is a directory)"):
        call_command("config", "check")


def test_check_looks_up_the_addresses_of_endpoints(folder: Path, settings, capsys) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [{"key": "hook", "url": "https://localhost/x", "method": "POST", "token": "t"}]
    )
    code, document = run_json(capsys, "check")
    assert (code, document["code"]) == (2, "endpoints_invalid")
    assert "hook" in document["errors"][0]["detail"]


def test_check_warns_about_a_name_that_does_not_resolve(folder: Path, settings, capsys) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = json.dumps(
        [
            {
                "key": "default-endpoint",
                "url": "https://unknown.invalid/x",
                "method": "POST",
                "token": "t",
            }
        ]
    )
    code, document = run_json(capsys, "check")
    assert code == 0
    assert ["default-endpoint" in warning for warning in document["warnings"]] == [True]


def test_reload_applies_the_files_with_an_audit_entry(folder: Path, capsys) -> None:
    code, document = run_json(capsys, "reload", "--reason", "as agreed")
    assert (code, document) == (
        0,
        {
            "created": ["profiles/daily", "run-profiles/daily-eu"],
            "changed": [],
            "hidden": [],
            "unchanged": 0,
            "namespaces": ["eu"],
        },
    )
    assert RunProfile.objects.get().run_profile_id == "daily-eu"
    entry = AuditTrailEntry.objects.get(action="config.reloaded")
    assert (entry.reason, entry.actor.startswith("command:")) == ("as agreed", True)
    code, out = run(capsys, "reload")
    assert (code, out) == (0, "0 created, 0 changed, 0 hidden, 2 unchanged.\n")


def test_reload_is_refused_while_a_cycle_is_active(folder: Path, capsys) -> None:
    cycle = active_cycle()
    code, document = run_json(capsys, "reload")
    assert (code, document["code"], document["active_cycle_run_ids"]) == (
        4,
        "cycles_active",
        [str(cycle.id)],
    )
    with pytest.raises(CyclesActive):
        call_command("config", "reload")
    assert not Profile.objects.exists()


def test_diff_exits_with_0_without_and_1_with_a_difference(folder: Path, capsys) -> None:
    reload.load_at_start()
    assert run(capsys, "diff") == (0, "Files and database are the same.\n")
    store_profiles([profile(label="By hand", value_tags=["new"])], [])
    code, out = run(capsys, "diff")
    assert (code, out) == (
        1,
        'profiles.json daily/label: files "Daily", database "By hand"\n'
        'profiles.json daily/value_tags: files nothing, database ["new"]\n',
    )
    code, document = run_json(capsys, "diff")
    assert (code, document[0]) == (
        1,
        {
            "file": "profiles.json",
            "id": "daily",
            "pointer": "/label",
            "in_files": "Daily",
            "in_database": "By hand",
        },
    )


def test_export_writes_the_database_into_the_folder(folder: Path, capsys) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    code, document = run_json(capsys, "export")
    assert (code, document) == (
        0,
        {"written": [str(folder / "profiles.json"), str(folder / "runProfiles.json")]},
    )
    assert json.loads((folder / "profiles.json").read_text()) == [profile(label="By hand")]
    assert run(capsys, "diff")[0] == 0


def test_an_export_is_audited_and_refused_into_a_missing_folder(
    folder: Path, settings, capsys
) -> None:
    reload.load_at_start()
    code, document = run_json(capsys, "export", "--reason", "as agreed")
    assert code == 0
    assert AuditTrailEntry.objects.get(action="config.exported").reason == "as agreed"
    settings.ORBIT_CONFIG_DIR = folder / "gone"
    code, document = run_json(capsys, "export")
    assert (code, document["code"]) == (4, "not_writable")
    assert "ORBIT_CONFIG_DIR" in document["detail"]
