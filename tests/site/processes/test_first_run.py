import signal
import subprocess
import sys
from pathlib import Path

from orbit_site.processes import first_run


def test_token_password_and_port_are_created_once_and_readable_by_this_user_only(
    tmp_path: Path,
) -> None:
    port = first_run.receiver_port(tmp_path)
    first, second = (first_run.endpoint_variables(tmp_path, port, ["10.0.0.1"]) for _ in range(2))
    assert first == second
    assert first["ORBIT_DISPATCH_ALLOWED_HOSTS"] == "10.0.0.1,127.0.0.1"
    assert first_run.admin_password(tmp_path) == first_run.admin_password(tmp_path)
    assert first_run.receiver_port(tmp_path) == port
    for name in ("aurora-token", "admin-password"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_an_empty_file_of_a_killed_start_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "admin-password").touch()
    (tmp_path / "aurora-port").write_bytes(b"\xff")
    first = first_run.admin_password(tmp_path)
    assert first == first_run.admin_password(tmp_path) == (tmp_path / "admin-password").read_text()
    assert first_run.receiver_port(tmp_path)


def test_a_start_that_is_killed_while_it_writes_leaves_no_half_file(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from governance.kernel import files\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "files.create_whole(pathlib.Path(sys.argv[1]), 'word')\n"
    )
    path = tmp_path / "admin-password"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1  # the draft
