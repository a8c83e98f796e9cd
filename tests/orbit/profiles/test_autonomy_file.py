"""The policies' file: every error with its place, at every start; other commands leave it alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.management.commands import config
from orbit.profiles import autonomy_file, drift, export, reload
from orbit.profiles.files import ConfigInvalid
from tests.support.advisory_signals import policy
from tests.support.configuration import profile, run_profile, write_profiles


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.ORBIT_CONFIG_DIR, settings.ORBIT_DISPATCH_ENDPOINTS = tmp_path, "[]"
    write_profiles(tmp_path, [profile()], [run_profile()])
    return tmp_path


def problems(folder: Path, *policies: Any) -> dict[str, str]:
    (folder / "autonomy.json").write_text(json.dumps(policies))
    read, found = autonomy_file.read(folder)
    assert bool(read) != bool(found)
    return {problem.pointer: problem.detail for problem in found}


def test_a_missing_file_is_no_policy_and_an_unreadable_one_is_an_error(folder: Path) -> None:
    assert autonomy_file.read(folder) == ([], [])
    (folder / "autonomy.json").mkdir()
    policies, [problem] = autonomy_file.read(folder)
    assert (policies, problem.file) == ([], "autonomy.json")


def test_a_valid_file_is_read_as_it_is(folder: Path) -> None:
    assert problems(folder, policy(), policy("second", do="disable_run_profile")) == {}
    assert autonomy_file.read(folder)[0][0] == policy()


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"name": ""}, "/0/name"),
        ({"profiles": ["*"]}, "/0/profiles/0"),
        ({"namespaces": ["*"]}, "/0/namespaces/0"),
        ({"profiles": []}, "/0/profiles"),
        ({"profiles": ["a", "a"]}, "/0/profiles"),
        ({"do": "approve_proposal"}, "/0/do"),
        ({"max_per_day": 0}, "/0/max_per_day"),
        ({"max_per_day": 1.5}, "/0/max_per_day"),
        ({"max_per_day": True}, "/0/max_per_day"),
        ({"when": {"signal": "low_performance"}}, "/0/when"),
        ({"when": {**policy()["when"], "windows": 101}}, "/0/when/windows"),
        ({"when": {**policy()["when"], "min_confidence": 1.01}}, "/0/when/min_confidence"),
        ({"when": {**policy()["when"], "signal": "bad"}}, "/0/when/signal"),
        ({"reason": "because"}, "/0/reason"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    folder: Path, members: dict[str, Any], pointer: str
) -> None:
    assert pointer in problems(folder, policy(**members))


def test_every_mistake_is_named_not_just_the_first(folder: Path) -> None:
    found = problems(folder, policy(), policy(max_per_day=0), policy("other", do="dance"))
    assert set(found) == {"/1/max_per_day", "/1/name", "/2/do"}
    assert found["/1/name"] == "`broken` is used twice."


@pytest.mark.django_db
def test_a_start_names_the_mistakes_of_all_files(folder: Path) -> None:
    write_profiles(folder, [profile(label=1)], [run_profile()])
    (folder / "autonomy.json").write_text(json.dumps([policy(max_per_day=0)]))
    with pytest.raises(ConfigInvalid) as refused:
        reload.load_at_start()
    places = {(error["file"], error["pointer"]) for error in refused.value.errors}
    assert places == {("profiles.json", "/0/label"), ("autonomy.json", "/0/max_per_day")}


@pytest.mark.django_db
def test_diff_reload_and_export_leave_the_file_alone(folder: Path) -> None:
    (folder / "autonomy.json").write_text("nonsense")
    reload.apply_files(actor=SYSTEM, reason="r")
    assert drift.differences(actor=SYSTEM) == []
    written = export.export(folder, actor=SYSTEM, reason="r")
    assert {path.name for path in written} == {"profiles.json", "runProfiles.json"}
    assert (folder / "autonomy.json").read_text() == "nonsense"


def test_config_check_counts_policies_and_refuses_invalid_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "autonomy.json").write_text(json.dumps([policy()]))
    config.Command().run_from_argv(["manage.py", "config", "check"])
    assert "1 of autonomy's policies" in capsys.readouterr().out
    (folder / "autonomy.json").write_text("[{}]")
    with pytest.raises(SystemExit) as ended:
        config.Command().run_from_argv(["manage.py", "config", "check"])
    assert ended.value.code == 2
    assert "autonomy.json#/0: Lacks `name`" in capsys.readouterr().err
