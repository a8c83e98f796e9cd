"""The backup file is complete or missing; its reader detects every changed byte."""

import fcntl
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orbit_site.backup import container
from orbit_site.backup.container import NoBackup, Occupied, Unwritable
from tests.support.backups import names

MANIFEST = {"format": 1, "release": "0.1.0", "name": "ä"}
DUMP = random.Random(7).randbytes(10_000)


def write(path: Path, *, force: bool = False) -> str:
    return container.write(path, MANIFEST, iter([DUMP[:4000], DUMP[4000:]]), force=force)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    write(tmp_path / "a.backup")
    return tmp_path / "a.backup"


def refused(path: Path) -> bool:
    try:
        with container.opened(path):
            return False
    except NoBackup:
        return True


def test_what_was_written_is_read_again(backup: Path) -> None:
    with container.opened(backup) as opened:
        assert opened.manifest == MANIFEST
        assert b"".join(opened.chunks()) == DUMP
        assert opened.size == len(DUMP)


def test_it_is_for_its_owner_alone_and_nothing_else_is_left(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    assert names(backup.parent) == ["a.backup"]


def test_tar_and_sha256sum_open_and_check_it(backup: Path, tmp_path: Path) -> None:
    with tarfile.open(backup) as tar:
        assert tar.getnames() == ["manifest.json", "database.dump", "SHA256SUMS"]
        tar.extractall(tmp_path, filter="data")
    assert json.loads((tmp_path / "manifest.json").read_text()) == MANIFEST
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


def test_each_byte_that_is_changed_is_found(backup: Path) -> None:
    good = backup.read_bytes()
    chance = random.Random(3)
    end = len(good) - 1024
    # Headers, manifest and sums closely; some of the dump, and of the zeros at the end.
    places = [
        *range(0, 1600, 3),
        *chance.sample(range(1600, end), 60),
        *range(end - 1576, end, 3),
        *range(end, len(good), 31),
    ]
    with backup.open("r+b", buffering=0) as file:
        for place in places:
            os.pwrite(file.fileno(), bytes([good[place] ^ 1 << chance.randrange(8)]), place)
            assert refused(backup), place
            os.pwrite(file.fileno(), good[place : place + 1], place)
    assert not refused(backup)


@pytest.mark.parametrize("part", [0, 1, 100, 511, 512, 700, 5000, -1024, -512, -1])
def test_one_that_is_cut_off_is_refused(backup: Path, part: int) -> None:
    os.truncate(backup, part if part >= 0 else backup.stat().st_size + part)
    assert refused(backup)


def test_one_with_something_behind_it_is_refused(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes() + b"\0")
    assert refused(backup)


def test_another_file_is_called_no_backup(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 1000)
    with (
        pytest.raises(NoBackup, match="is not a backup of Orbit"),
        container.opened(tmp_path / "text"),
    ):
        pass
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoBackup, match="Can't read"), container.opened(path):
            pass


def test_one_that_changes_after_it_was_checked_is_found(backup: Path) -> None:
    with container.opened(backup) as opened:
        with backup.open("r+b") as file:
            file.seek(opened.begin + 5000)
            file.write(b"changed")
        with pytest.raises(NoBackup, match="changed while it was read"):
            list(opened.chunks())


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(backup: Path) -> None:
    backup.write_text("mine")
    with pytest.raises(Occupied, match="--force"):
        write(backup)
    assert backup.read_text() == "mine"
    write(backup, force=True)
    assert not refused(backup)
    assert names(backup.parent) == ["a.backup"]


def test_what_a_crash_left_behind_is_used_again(tmp_path: Path) -> None:
    left = tmp_path / "a.backup.part"
    left.write_bytes(b"x" * 100_000)
    left.chmod(0o644)
    write(tmp_path / "a.backup")
    assert not refused(tmp_path / "a.backup")
    assert (tmp_path / "a.backup").stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "a.backup.part").symlink_to(tmp_path / "precious")
    with pytest.raises(Unwritable):
        write(tmp_path / "a.backup")
    assert (tmp_path / "precious").read_text() == "precious"


def test_two_at_once_to_one_name_dont_mix(tmp_path: Path) -> None:
    part = tmp_path / "a.backup.part"
    with part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Occupied, match="Another backup"):
            write(tmp_path / "a.backup")
    assert part.exists()


def test_a_dump_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 100
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        container.write(tmp_path / "a.backup", MANIFEST, failing(), force=False)
    assert names(tmp_path) == []


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="No such file or directory"):
        write(tmp_path / "missing" / "a.backup")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unwritable, match="Permission denied"):
        write(tmp_path / "a.backup")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "orbit-test", str(folder)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("this account may not mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported_and_the_part_is_deleted(small_disk: Path) -> None:
    with pytest.raises(Unwritable, match="No space left on device"):
        container.write(
            small_disk / "a.backup", MANIFEST, (bytes(5000) for _ in range(100)), force=False
        )
    assert names(small_disk) == []
    write(small_disk / "a.backup")
    assert not refused(small_disk / "a.backup")
