"""Private files and folders, and files that are replaced as a whole."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.kernel import files


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_what_is_private_is_so_from_its_creation_whatever_the_umask(
    tmp_path: Path, mask: int
) -> None:
    with umask(mask):
        files.make_private(tmp_path / "var")
        with files.open_private(tmp_path / "var" / "secret") as file:
            seen = mode(tmp_path / "var" / "secret")
            file.write("x")
    assert (mode(tmp_path / "var"), seen) == (0o700, 0o600 & ~mask)


def test_what_an_older_release_left_open_is_closed_but_not_the_server_s_folder(
    tmp_path: Path,
) -> None:
    with umask(0o000):
        var = tmp_path / "var"
        (var / "backups").mkdir(parents=True)
        (var / "postgres").mkdir()
        for name in ("postgres.log", "backups/old.backup", "postgres/PG_VERSION"):
            (var / name).write_text("")
        (tmp_path / "elsewhere").write_text("")
        (var / "link").symlink_to(tmp_path / "elsewhere")
    files.make_private(var, "backups")
    closed = {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not mode(path) & 0o077
    }
    assert closed == {"var", "var/backups", "var/postgres.log", "var/backups/old.backup"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes in folders of others")
def test_in_another_account_s_folder_root_s_files_belong_to_that_account(tmp_path: Path) -> None:
    os.chown(tmp_path, 1, 1)
    with files.open_private(tmp_path / "log", "a"):
        pass
    assert (tmp_path / "log").stat().st_uid == 1


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    with files.replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert (path.read_text(), mode(path)) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), files.replacing(path) as file:
        file.write("half")
        raise OSError("the disk is full")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / "name", tmp_path / "victim"
    if kind == "link":
        victim.write_text("precious")
    if "link" in kind:
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null")
    with pytest.raises(OSError, match="which is not replaced"), files.replacing(path):
        pass
    assert victim.exists() == (kind == "link")
    assert kind != "link" or victim.read_text() == "precious"


def test_the_other_names_of_a_file_keep_the_old_one(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_text("old")
    path.hardlink_to(other)
    with files.replacing(path) as file:
        file.write("new")
    assert (path.read_text(), other.read_text()) == ("new", "old")


def test_the_remedy_is_about_the_disk_if_that_is_the_cause() -> None:
    remedies = [
        files.remedy(OSError(number, os.strerror(number)), "be the owner")
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
    ]
    assert ["full" in remedy for remedy in remedies] == [True, True, False, False]
    assert "read-only" in remedies[2]
    assert remedies[3] == "be the owner"
