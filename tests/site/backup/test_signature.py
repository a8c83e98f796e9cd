"""A backup is used only if a key of this installation signed it, and exactly as it was signed."""

import os
import random
import tarfile
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.test import override_settings

from orbit_site.backup import container, layout
from orbit_site.backup.container import NoBackup, Untrusted

MANIFEST = {"format": 1, "release": "0.1.0"}
DUMP = random.Random(7).randbytes(3 * layout.CHUNK_BYTES + 5)
OURS, THEIRS, NEW = (Fernet.generate_key().decode() for _ in range(3))


def keys(*values: str, derived: bool = False) -> override_settings:
    return override_settings(ORBIT_ENCRYPTION_KEYS=list(values), ORBIT_KEYS_ARE_DERIVED=derived)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    with keys(OURS):
        container.write(tmp_path / "a.backup", MANIFEST, iter([DUMP]), force=False)
    return tmp_path / "a.backup"


def without_signature(path: Path) -> bytes:
    return path.read_bytes()[: -layout.BLOCK]


def test_each_key_of_the_installation_verifies(backup: Path) -> None:
    for ours in ([OURS], [NEW, OURS], [OURS, NEW]):
        with keys(*ours), container.opened(backup) as opened:
            assert opened.signed
            assert b"".join(opened.chunks()) == DUMP


def test_one_of_another_installation_says_so_and_which_keys_it_needs(backup: Path) -> None:
    for derived, advice in (
        (False, "Add that installation's ORBIT_ENCRYPTION_KEYS behind your own; if none is set "),
        (True, "copy its ORBIT_SECRET_KEY or its file var/secret-key"),
    ):
        with (
            keys(THEIRS, derived=derived),
            pytest.raises(
                Untrusted, match=f"a key of another installation. .*{advice}.*--unsigned"
            ),
            container.opened(backup),
        ):
            pass


def test_one_without_a_signature_says_so(backup: Path) -> None:
    backup.write_bytes(without_signature(backup))
    with (
        keys(OURS),
        pytest.raises(Untrusted, match=r"isn't signed: it was made by a release .*--unsigned"),
        container.opened(backup),
    ):
        pass


def test_both_can_be_opened_all_the_same_and_are_checked(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").write_bytes(without_signature(backup))
    with keys(THEIRS):
        for path in (backup, tmp_path / "bare"):
            with container.opened(path, unsigned=True) as opened:
                assert not opened.signed
                assert b"".join(opened.chunks()) == DUMP
            with path.open("r+b") as file:
                file.seek(opened.begin + 7)
                file.write(b"changed")
            with pytest.raises(NoBackup, match="changed"), container.opened(path, unsigned=True):
                pass


def test_the_signature_of_one_backup_is_none_of_another(backup: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for manifest, dump in (({**MANIFEST, "release": "0.1.1"}, DUMP), (MANIFEST, b"COPY" + DUMP)):
        with keys(THEIRS):
            container.write(other, manifest, iter([dump]), force=True)
        other.write_bytes(without_signature(other) + backup.read_bytes()[-layout.BLOCK :])
        with keys(OURS), pytest.raises(NoBackup, match="was changed"), container.opened(other):
            pass


def test_nothing_of_the_file_is_read_as_json_before_its_signature_is_checked(
    tmp_path: Path,
) -> None:
    document = b"[" * 5_000_000
    sums = layout.sums(layout.digest(document), layout.digest(b""))
    (tmp_path / "deep").write_bytes(
        layout.member(layout.MANIFEST, document)
        + layout.member(layout.DUMP, b"")
        + layout.member(layout.SUMS, sums)
        + layout.END
    )
    with keys(OURS):
        with pytest.raises(Untrusted), container.opened(tmp_path / "deep"):
            pass
        with (
            pytest.raises(NoBackup, match=r"manifest\.json can't be read"),
            container.opened(tmp_path / "deep", unsigned=True),
        ):
            pass


@pytest.mark.parametrize("change", ["a byte", "cut", "replaced"])
def test_no_byte_that_changed_after_the_check_is_handed_on(backup: Path, change: str) -> None:
    with keys(OURS), container.opened(backup) as opened:
        place = opened.begin + layout.CHUNK_BYTES + 5
        if change == "cut":
            os.truncate(backup, place)
        else:
            with backup.open("r+b") as file:
                file.seek(place if change == "a byte" else opened.begin)
                file.write(b"!" if change == "a byte" else b"!" * opened.size)
        used = []
        with pytest.raises(NoBackup, match="changed while it was read"):
            used.extend(opened.chunks())
        assert b"".join(used) == b"" if change == "replaced" else DUMP[: layout.CHUNK_BYTES]


def test_without_its_last_block_earlier_releases_read_it(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").write_bytes(without_signature(backup))
    assert (tmp_path / "bare").read_bytes()[-1024:] == bytes(1024)
    with tarfile.open(tmp_path / "bare") as tar:
        assert tar.getnames() == ["manifest.json", "database.dump", "SHA256SUMS"]


HUGE = 1 << 62


def _odd(name: str, good: bytes) -> bytes:
    """Return a file that lies about itself."""
    manifest = layout.member(layout.MANIFEST, b"{}")
    dump_header = good.index(b"database.dump\0")
    return {
        "a huge dump": good[:dump_header] + layout.header(layout.DUMP, HUGE),
        "a dump beyond all numbers": good[:dump_header] + layout.header(layout.DUMP, 1 << 80),
        "a huge manifest": layout.header(layout.MANIFEST, HUGE) + good[512:],
        "two manifests": manifest + good,
        "two dumps": good[:dump_header] + layout.member(layout.DUMP, b"x") + good[dump_header:],
        "two signatures": good + good[-512:],
        "a member behind the end": good + layout.member("more", b"x"),
        "something behind the signature": good + b"\0",
        "half a signature": good[:-256],
        "nothing": b"",
        "only a header": good[:512],
    }[name]


@pytest.mark.parametrize("name", [
    "a huge dump", "a dump beyond all numbers", "a huge manifest", "two manifests", "two dumps",
    "two signatures", "a member behind the end", "something behind the signature",
    "half a signature", "nothing", "only a header",
])  # fmt: skip
def test_a_file_that_lies_about_itself_is_refused(backup: Path, name: str) -> None:
    backup.write_bytes(_odd(name, backup.read_bytes()))
    with (
        keys(OURS),
        pytest.raises(NoBackup, match=r"is cut off or was changed|is not a backup"),
        container.opened(backup, unsigned=True),
    ):
        pass


def test_a_file_with_holes_is_refused_without_reading_them(backup: Path, tmp_path: Path) -> None:
    size = 1 << 42
    with (tmp_path / "holes").open("wb") as file:
        try:
            file.truncate(size + 8192)
        except OSError:
            pytest.skip("this file system has no such files")
        head = layout.member(layout.MANIFEST, b"{}") + layout.header(layout.DUMP, size)
        file.write(head)
        file.seek(len(head) + size)
        sums = layout.sums("0" * 64, "0" * 64)
        file.write(layout.member(layout.SUMS, sums) + layout.END)
        file.truncate()
    with keys(OURS), pytest.raises(Untrusted), container.opened(tmp_path / "holes"):
        pass


def test_what_is_no_regular_file_is_refused_at_once(backup: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with keys(OURS):
        for path, message in (
            (tmp_path / "pipe", "is no regular file"),
            (Path("/dev/null"), "is no regular file"),
            (tmp_path / "loop", "Can't read"),
        ):
            with pytest.raises(NoBackup, match=message), container.opened(path):
                pass
        with pytest.raises(container.Occupied, match="is no regular file"):
            container.write(tmp_path / "pipe", MANIFEST, iter([b""]), force=True)
        (tmp_path / "latest").symlink_to(backup)
        with container.opened(tmp_path / "latest") as opened:
            assert opened.signed
