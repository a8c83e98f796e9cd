"""A backup is of one moment while Orbit runs, and is audited."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from orbit_site.backup import container
from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.backups import call, names, rows, run, start
from tests.support.polling import until

pytestmark = pytest.mark.processes


def test_it_says_what_it_holds_and_is_on_the_trail(
    server: Server, used: str, tmp_path: Path
) -> None:
    code, output, errors = run(server, used, "backup", str(tmp_path / "a.backup"), "--json")
    assert (code, errors) == (0, "")
    report = json.loads(output)
    with container.opened(tmp_path / "a.backup") as opened:
        assert report["sha256"] == opened.sha256
        assert opened.manifest["rows"]["orbit_cyclerun"] == 3
        assert opened.manifest["current"]
    query = (
        "SELECT id, previous_hash, actor, after FROM governance_audittrailentry "
        "WHERE action = 'backup.made'"
    )
    ((number, previous, actor, after),) = rows(server, used, query)
    assert report["audit"] == {"sequence": number - 1, "hash": previous}
    assert actor.startswith("command:")
    assert (after["file"], after["sha256"]) == ("a.backup", opened.sha256)


def test_in_a_folder_it_gets_a_name_of_its_own(server: Server, used: str, tmp_path: Path) -> None:
    code, output, _ = call(server, used, "backup", str(tmp_path))
    assert code == 0
    (path,) = tmp_path.glob("orbit-[0-9]*.backup")
    assert output.startswith(f"{path}: ")


def test_two_tables_that_change_together_are_never_seen_apart(
    server: Server, used: str, elsewhere: str, tmp_path: Path
) -> None:
    with psycopg.connect(server.url("orbit_owner", used)) as owner:
        owner.execute("CREATE TABLE aaa (n int); CREATE TABLE zzz (n int)")
        # Many rows between them, so that a dump takes a while.
        owner.execute(
            "CREATE TABLE mmm AS "
            "SELECT repeat(md5(n::text), 20) AS t FROM generate_series(1, 30000) n"
        )
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(server.url("orbit_owner", used), autocommit=True) as writer:
            while not stop.is_set():
                with writer.transaction():
                    writer.execute("INSERT INTO aaa VALUES (1)")
                    writer.execute("INSERT INTO zzz VALUES (1)")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        until(lambda: rows(server, used, "SELECT 1 FROM zzz LIMIT 1"), "nothing is written")
        code, _, errors = call(server, used, "backup", str(tmp_path / "a.backup"))
    finally:
        stop.set()
        writing.join()
    assert code == 0, errors
    code, _, errors = call(server, elsewhere, "restore", str(tmp_path / "a.backup"))
    assert code == 0, errors
    ((first_count, second_count),) = rows(
        server, elsewhere, "SELECT (SELECT count(*) FROM aaa), (SELECT count(*) FROM zzz)"
    )
    assert 0 < first_count == second_count < rows(server, used, "SELECT count(*) FROM aaa")[0][0]


def test_a_file_that_is_there_stays_and_nothing_is_on_the_trail(
    server: Server, used: str, tmp_path: Path
) -> None:
    (tmp_path / "a.backup").write_text("mine")
    code, _, errors = call(server, used, "backup", str(tmp_path / "a.backup"))
    assert code == 4
    assert "--force" in errors
    assert (tmp_path / "a.backup").read_text() == "mine"
    assert rows(
        server, used, "SELECT count(*) FROM governance_audittrailentry WHERE action = 'backup.made'"
    ) == [(0,)]


def test_a_database_without_orbit_is_refused(
    server: Server, elsewhere: str, tmp_path: Path
) -> None:
    code, _, errors = run(server, elsewhere, "backup", str(tmp_path / "a.backup"))
    assert code == 2
    assert "isn't migrated" in errors
    assert names(tmp_path) == []


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


def test_a_full_disk_ends_it_at_once_and_pg_dump_with_it(
    server: Server, used: str, small_disk: Path
) -> None:
    code, _, errors = call(server, used, "backup", str(small_disk / "a.backup"))
    assert code == 7
    assert "No space left on device" in errors
    assert names(small_disk) == []
    sessions = (
        "SELECT application_name FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    until(lambda: ("pg_dump",) not in rows(server, used, sessions), "pg_dump goes on")


def part_of(path: Path) -> Path:
    """Return the file that a backup to ``path`` is written to before it is whole."""
    return path.with_name(f"{path.name}.part")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _signal_in_the_middle(server: Server, name: str, path: Path, number: int) -> psutil.Process:
    """Send ``number`` to a backup that has written a part; return its pg_dump.

    On a busy machine the backup may end before the signal: then take another.
    """
    part = part_of(path)
    for _ in range(10):
        # The part of a killed backup stays, and would look like the part of the next one.
        part.unlink(missing_ok=True)
        taking = start(server, name, "backup", str(path))
        dumps: list[psutil.Process] = []

        def writes() -> bool:
            dumps[:] = processes.children(taking.pid)  # noqa: B023
            return bool(dumps) and _size(part) > 0  # noqa: B023

        until(lambda: taking.poll() is not None or writes(), "nothing is written")  # noqa: B023
        taking.send_signal(number)
        taking.communicate(timeout=60)
        if dumps and not path.exists():
            return dumps[0]
        path.unlink(missing_ok=True)
    raise AssertionError("each of ten backups ended before the signal")


def test_one_that_is_killed_leaves_no_file_of_the_name_and_no_process(
    server: Server, used: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.backup"
    with psycopg.connect(server.url("orbit_owner", used)) as owner:
        owner.execute(
            "CREATE TABLE big AS "
            "SELECT repeat(md5(random()::text), 40) AS t FROM generate_series(1, 120000) n"
        )
    for number in (signal.SIGINT, signal.SIGKILL):
        dumping = _signal_in_the_middle(server, used, path, number)
        assert not path.exists()
        assert part_of(path).exists() == (number == signal.SIGKILL)
        until(lambda: not processes.lives(dumping), "pg_dump goes on")  # noqa: B023
    with psycopg.connect(server.url("orbit_owner", used)) as owner:
        owner.execute("DROP TABLE big")
    assert call(server, used, "backup", str(path))[0] == 0
    assert names(tmp_path) == ["a.backup"]


def test_a_migration_that_runs_is_not_dumped_half_way(
    server: Server, used: str, tmp_path: Path
) -> None:
    with psycopg.connect(server.url("orbit_owner", used)) as migrating:
        migrating.execute("SELECT pg_advisory_lock(hashtext('orbit.migrate'), hashtext('public'))")
        code, _, errors = call(server, used, "backup", str(tmp_path / "a.backup"))
    assert code == 7
    assert "A migration of this database is running" in errors
    assert names(tmp_path) == []
