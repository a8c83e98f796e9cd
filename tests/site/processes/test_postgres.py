import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from orbit_site.processes import pg_data_dir, pg_paths, postgres
from tests.support import processes, project

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
PROJECT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A server's data folder. Making one takes a second of CPU, copying it a tenth."""
    with project.open_folder() as folder:
        postgres.ensure(folder, settings=QUICK)
        postgres.stop(folder)
        yield postgres.locate(folder).data


@pytest.fixture
def made(folder: Path, data: Path) -> None:
    """Let ``folder`` have its data already."""
    subprocess.run(["cp", "-a", data, postgres.locate(folder).data], check=True)


def connect(base: Path, role: str = "orbit_app") -> psycopg.Connection:
    return psycopg.connect(postgres.locate(base).url(role), autocommit=True)


def postmaster(base: Path) -> psutil.Process:
    return processes.postmaster(postgres.locate(base))


def in_a_process(base: Path, code: str) -> subprocess.Popen[str]:
    text = (
        "import sys; from pathlib import Path; from orbit_site.processes import postgres; "
        f"base = Path(sys.argv[1]); quick = {QUICK!r}; {code}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", text, str(base)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_application_s_role_is_no_superuser_and_owns_nothing(folder: Path) -> None:
    assert postgres.ensure(folder, settings=QUICK) is True
    with connect(folder) as app, connect(folder, "orbit_owner") as owner:
        owner.execute("CREATE TABLE thing (id int)")
        assert app.execute(
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles "
            "WHERE rolname = current_user"
        ).fetchone() == (False,)
        assert app.execute("SHOW listen_addresses").fetchone() == ("",)
        for statement in ("SELECT * FROM thing", "DROP TABLE thing", "CREATE TABLE other (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)


@pytest.mark.usefixtures("made")
def test_a_second_start_adopts_the_server_within_milliseconds(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    first = postmaster(folder).pid
    waits = []
    for _ in range(5):
        began = time.perf_counter()
        assert postgres.ensure(folder, settings=QUICK) is False
        waits.append(time.perf_counter() - began)
    assert min(waits) < 0.1  # on a busy machine, some take longer
    assert postmaster(folder).pid == first


@pytest.mark.usefixtures("made")
def test_stop_ends_every_process_and_the_data_stay(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    with connect(folder, "orbit_owner") as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    family = processes.family(postmaster(folder).pid)
    assert len(family) > 1
    postgres.stop(folder)
    assert not [process for process in family if processes.lives(process)]
    postgres.stop(folder)
    assert postgres.ensure(folder, settings=QUICK) is True
    with connect(folder, "orbit_owner") as owner:
        assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.parametrize(
    "name",
    ["with spaces", 'it\'s "quoted" \\ and %20 + & # ? $x @', "a, comma", "long-" * 30, "ümläut ✓"],
)
def test_any_folder_name_works(folder: Path, name: str) -> None:
    base = folder / name / "var"
    postgres.ensure(base, settings=QUICK)
    with connect(base) as app:
        assert app.execute("SELECT current_user::text").fetchone() == ("orbit_app",)


@pytest.mark.usefixtures("made")
def test_a_killed_server_recovers_what_was_committed_although_a_backend_is_busy(
    folder: Path,
) -> None:
    postgres.ensure(folder, settings=QUICK)
    with connect(folder, "orbit_owner") as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    busy = connect(folder, "orbit_owner")
    spinning = threading.Thread(
        target=_ignore_errors, args=(lambda: busy.execute("DO $$ BEGIN LOOP END LOOP; END $$"),)
    )
    spinning.start()
    backend = psutil.Process(busy.info.backend_pid)
    while backend.cpu_times().user < 0.1:
        time.sleep(0.01)
    server = postmaster(folder)
    server.kill()
    server.wait(60)
    assert processes.lives(backend)
    assert postgres.ensure(folder, settings=QUICK) is True
    with connect(folder, "orbit_owner") as owner:
        assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)
    spinning.join(60)
    assert not processes.lives(backend)


@pytest.mark.usefixtures("made")
def test_a_server_that_ends_while_it_is_waited_for_is_started_anew(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    server = postmaster(folder)
    # As it says while it recovers.
    pid_file = postgres.locate(folder).data / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace("ready   ", "starting"))
    starts: list[bool] = []
    waiting = threading.Thread(
        target=lambda: starts.append(postgres.ensure(folder, settings=QUICK))
    )
    waiting.start()
    time.sleep(0.3)
    server.kill()
    waiting.join(60)
    assert starts == [True]


def _ignore_errors(call: Callable[[], object]) -> None:
    with contextlib.suppress(psycopg.Error):
        call()


@pytest.mark.usefixtures("made")
def test_a_pid_file_that_names_a_stranger_is_not_believed(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    pid_file = postgres.locate(folder).data / "postmaster.pid"
    kept = pid_file.read_text()
    postgres.stop(folder)
    pid_file.write_text(kept.replace(kept.splitlines()[0], str(os.getpid()), 1))
    assert postgres.ensure(folder, settings=QUICK) is True
    assert postmaster(folder).pid != os.getpid()


def test_of_four_that_start_it_at_once_one_does_and_all_are_served(folder: Path) -> None:
    use = (
        "import psycopg; started = postgres.ensure(base, settings=quick); "
        "psycopg.connect(postgres.locate(base).url()).close(); print(started)"
    )
    starters = [in_a_process(folder, use) for _ in range(4)]
    outputs = sorted(starter.communicate(timeout=60)[0].strip() for starter in starters)
    assert outputs == ["False", "False", "False", "True"]


@pytest.mark.usefixtures("made")
def test_the_last_holder_stops_the_server(folder: Path) -> None:
    hold = (
        "import contextlib\nwith postgres.held(base, settings=quick):\n"
        " print('held', flush=True); sys.stdin.read()"
    )
    first, second = (in_a_process(folder, "\n" + hold) for _ in range(2))
    for holder in (first, second):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
    server = postmaster(folder)
    first.communicate(timeout=60)
    assert processes.lives(server)
    second.communicate(timeout=60)
    assert not processes.lives(server)


@pytest.mark.usefixtures("made")
def test_a_forked_child_that_leaves_the_block_stops_nothing(folder: Path) -> None:
    fork = (
        "import os\nwith postgres.held(base, settings=quick):\n child = os.fork()\n"
        " if not child: sys.exit(0)\n"
        " os.waitpid(child, 0); print(postgres.ensure(base))"
    )
    assert in_a_process(folder, "\n" + fork).communicate(timeout=60)[0] == "False\n"


@pytest.mark.usefixtures("made")
def test_a_killed_holder_leaves_the_server_to_the_next_one(folder: Path) -> None:
    holder = in_a_process(
        folder,
        "\nwith postgres.held(base, settings=quick):\n print('held', flush=True); sys.stdin.read()",
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    server = postmaster(folder)
    holder.kill()
    holder.communicate()
    assert processes.lives(server)
    with postgres.held(folder):
        assert postmaster(folder) == server
    assert not processes.lives(server)


def test_an_interrupted_creation_is_begun_again(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18")
    assert postgres.ensure(folder, settings=QUICK) is True


@pytest.mark.usefixtures("made")
def test_data_of_another_release_are_refused_and_left_alone(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    postgres.stop(folder)
    version = postgres.locate(folder).data / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(postgres.PostgresError, match=r"PostgreSQL 16.*pg_upgrade"):
        postgres.ensure(folder, settings=QUICK)
    assert version.read_text() == "16\n"


def test_a_setting_that_postgresql_refuses_is_told_in_its_words(folder: Path) -> None:
    with pytest.raises(postgres.PostgresError, match=r"work_mem.*postgres\.log"):
        postgres.ensure(folder, settings={"work_mem": "plenty"})


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do() -> None:
    with pytest.raises(postgres.PostgresError, match=r"/proc/orbit.*writable.*DATABASE_URL"):
        postgres.ensure(Path("/proc/orbit/var"))


def test_a_socket_folder_of_another_account_is_refused(folder: Path) -> None:
    base = folder / ("long-" * 30)
    host = Path(postgres.locate(base).host)
    host.mkdir(mode=0o777)
    host.chmod(0o777)
    try:
        with pytest.raises(postgres.PostgresError, match="another account or is open to others"):
            postgres.ensure(base, settings=QUICK)
    finally:
        host.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
@pytest.mark.usefixtures("made")
def test_another_account_of_the_machine_gets_no_connection(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    psql = pg_paths.programs(pg_paths.account(folder)) / "psql"
    for account in ("nobody", "daemon"):
        done = subprocess.run(
            [psql, postgres.locate(folder).url(), "-c", "SELECT 1"],
            user=account,
            group="nogroup",
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, account


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_the_server_of_a_folder_that_only_root_may_enter_runs_in_it(
    folder: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        folder.chmod(0o700)
        base = folder / "var"
        postgres.ensure(base, settings=QUICK)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert base.stat().st_mode & 0o777 == 0o700
        assert postgres.locate(base).data == base / "postgres"
        with connect(base) as app:
            assert app.execute("SELECT 1").fetchone() == (1,)
        postgres.stop(base)
        os.umask(0o022)
        assert postgres.ensure(base, settings=QUICK) is True
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_data_that_an_older_release_put_elsewhere_are_found_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_paths, "STATE_DIR", folder / "state")
    base = folder / "var"
    elsewhere = folder / "state" / pg_paths._hash(base) / "postgres"
    elsewhere.mkdir(parents=True)
    assert postgres.locate(base).data == elsewhere
    elsewhere.rmdir()
    assert postgres.locate(base).data == base / "postgres"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
@pytest.mark.usefixtures("made")
def test_root_writes_through_no_symbolic_link_that_the_server_s_account_laid(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    postgres.stop(folder)
    victim = folder / "victim"
    victim.write_text("precious")
    for name in ("orbit.conf", "pg_ident.conf.new", "pg_hba.conf"):
        link = postgres.locate(folder).data / name
        link.unlink(missing_ok=True)
        link.symlink_to(victim)
    postgres.ensure(folder, settings=QUICK)
    assert victim.read_text() == "precious"
    assert victim.stat().st_uid == 0


def test_a_copy_of_the_programs_works_by_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_paths, "STATE_DIR", folder / "state")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pg_paths, "_may_run", lambda program, runner: False)
    programs = pg_paths.programs(pg_paths.Account("other", 65534, 65534))
    assert programs.is_relative_to(folder / "state")
    assert (
        "18."
        in subprocess.run(
            [programs / "initdb", "--version"], capture_output=True, text=True, check=True
        ).stdout
    )


def test_programs_under_a_name_that_a_shell_would_read_are_copied_for_initdb_alone(
    folder: Path,
) -> None:
    runner = pg_paths.account(folder)
    odd = folder / 'it\'s `a` "$HOME" \\ place'
    pg_paths._copy(pg_paths.programs(runner).parent.parent, odd)
    programs = odd / pg_paths.PACKAGE / pg_paths.INSTALL / "bin"
    with pg_paths.quotable(programs) as plain:
        assert plain != programs
        assert (
            "18."
            in subprocess.run(
                [plain / "initdb", "--version"], capture_output=True, text=True, check=True
            ).stdout
        )
    assert not plain.exists()
    pg_data_dir.create(postgres.locate(folder), runner, programs, quick=True)
    assert (folder / "postgres" / "PG_VERSION").exists()


@pytest.mark.usefixtures("made")
def test_a_server_stops_although_a_client_is_connected(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STOP_SECONDS", 600)  # the first signal has to be enough
    postgres.ensure(folder, settings=QUICK)
    client = connect(folder)
    postgres.stop(folder)
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")


@pytest.mark.usefixtures("made")
def test_a_server_that_does_not_answer_the_first_request_to_stop_gets_the_second(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STOP_SECONDS", 0.5)
    postgres.ensure(folder, settings=QUICK)
    server = postmaster(folder)
    [child] = [
        child
        for child in processes.children(server.pid)
        if "checkpointer" in processes.words(child)  # one that never ends by itself
    ]
    child.suspend()
    threading.Timer(1.5, processes.kill, [child.pid, signal.SIGCONT]).start()
    postgres.stop(folder)
    assert not processes.lives(server)
