from pathlib import Path

import pytest

from orbit.profiles import files
from orbit.profiles.files import ConfigInvalid
from orbit.profiles.schema import FileProblem


def write(folder: Path, profiles: bytes = b"[]", run_profiles: bytes = b"[]") -> Path:
    (folder / "profiles.json").write_bytes(profiles)
    (folder / "runProfiles.json").write_bytes(run_profiles)
    return folder


def errors(folder: Path) -> list[dict[str, str]]:
    with pytest.raises(ConfigInvalid) as refusal:
        files.read(folder)
    assert refusal.value.code == "config_invalid"
    return refusal.value.errors


def test_both_files_are_read(tmp_path: Path) -> None:
    documents = files.read(write(tmp_path, b'[{"a": 1}]', b'[{"b": [2]}]'))
    assert documents == files.Documents([{"a": 1}], [{"b": [2]}])


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'[{"a":1,"a":2}]', "/0/a"),
        (b'[{"a":"\\u0000"}]', "/0/a"),
        (b'[{"a":"\\ud800"}]', "/0/a"),
        (b"[NaN]", "/0"),
        (b'[{"a":1},]', "/1"),
        (b"[" * 65 + b"]" * 65, "/0" * 64),
        (b"\xff", ""),
        (b"", ""),
        (b"{}", ""),
        (b'"x"', ""),
        (b"[" + b" " * files.MAX_FILE + b"]", ""),
        (b"[" + b"1," * 10_000 + b"1]", ""),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, data: bytes, pointer: str
) -> None:
    (error,) = errors(write(tmp_path, b"[]", data))
    assert (error["file"], error["pointer"]) == ("runProfiles.json", pointer)


def test_errors_of_both_files_are_reported_at_once_and_in_the_text(tmp_path: Path) -> None:
    write(tmp_path, b'[\n{"a":1,\n"a":2}]', b"[1,]")
    with pytest.raises(ConfigInvalid) as refusal:
        files.read(tmp_path)
    assert [error["file"] for error in refusal.value.errors] == [
        "profiles.json",
        "runProfiles.json",
    ]
    assert "profiles.json#/0/a: Duplicate key (line 3, column 1)." in refusal.value.detail


def test_a_missing_folder_names_the_setting(tmp_path: Path) -> None:
    problems = errors(tmp_path / "nowhere")
    assert len(problems) == 2
    assert "ORBIT_CONFIG_DIR" in problems[0]["detail"]


def test_a_folder_in_a_file_s_place_is_an_error_like_others(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "profiles.json").unlink()
    (tmp_path / "profiles.json").mkdir()
    assert errors(tmp_path)[0]["file"] == "profiles.json"


def test_a_long_list_of_errors_is_cut_in_the_text_and_whole_beside_it() -> None:
    refusal = ConfigInvalid.of(
        [FileProblem("profiles.json", f"/{number}", "Wrong.") for number in range(70)]
    )
    assert len(refusal.errors) == 70
    assert refusal.detail.endswith("... and 20 more")
