import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orbit_site.processes import django_command, entry, postgres
from tests.support import project
from tests.support.project import Project

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def copied() -> Iterator[Project]:
    with project.open_folder() as folder:
        yield project.copy(folder / "orbit")


@pytest.fixture
def old_server() -> Iterator[int]:
    """The port of a server that claims to be PostgreSQL 13."""
    listener = socket.create_server(("127.0.0.1", 0))

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    def talk() -> None:
        try:
            while True:
                client, _ = listener.accept()
                length = struct.unpack("!i", client.recv(4))[0]
                if client.recv(length - 4)[:4] == struct.pack(
                    "!i", 80877103
                ):  # it asks for TLS first
                    client.sendall(b"N")
                    client.recv(4096)
                parameters = {
                    "server_version": "13.4",
                    "client_encoding": "UTF8",
                    "standard_conforming_strings": "on",
                }
                hello = b"".join(
                    message(b"S", f"{name}\0{value}\0".encode())
                    for name, value in parameters.items()
                )
                client.sendall(
                    message(b"R", struct.pack("!i", 0))
                    + hello
                    + message(b"K", struct.pack("!ii", 1, 1))
                    + message(b"Z", b"I")
                )
                client.recv(4096)
                client.close()
        except OSError:
            return

    threading.Thread(target=talk, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ORBIT_GLOBAL_PAUSE": "ture"}, "ORBIT_GLOBAL_PAUSE='ture' is not a boolean"),
        ({"PORT": "http"}, "PORT='http' is not a number"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL must start with postgresql://"),
        ({"ORBIT_ENV": "production"}, "ORBIT_ENV=production needs ORBIT_SECRET_KEY"),
        (
            {"ORBIT_LOG_DIR": "/dev/null/logs"},
            "Can't use ORBIT_LOG_DIR='/dev/null/logs': Not a directory",
        ),
        (
            {"DATABASE_URL": "postgresql://me@127.0.0.1:1/orbit"},
            "Can't reach the database 'orbit' at 127.0.0.1:1",
        ),
        (
            {"DATABASE_URL": "postgresql://me@/orbit?host=/nowhere"},
            "Can't reach the database 'orbit' at /nowhere",
        ),
    ],
)
@pytest.mark.parametrize("command", ["showmigrations", "migrate"])
def test_an_unusable_setting_is_one_line_and_exit_code_2(
    copied: Project, command: str, variables: dict[str, str], message: str
) -> None:
    code, output = copied.run(command, **variables)
    assert code == 2
    assert output.startswith(f"orbit: {message}"), output
    assert len(output.splitlines()) == 1


def test_a_server_that_is_too_old_is_refused_with_both_versions(
    copied: Project, old_server: int
) -> None:
    code, output = copied.run(
        "showmigrations", DATABASE_URL=f"postgresql://me@127.0.0.1:{old_server}/orbit"
    )
    assert code == 2
    assert "13" in output
    assert "Orbit needs 15 or newer" in output
    assert "Traceback" not in output


def test_a_command_without_database_url_finds_one_and_leaves_no_process(copied: Project) -> None:
    code, output = copied.run("showmigrations", "--list")
    assert code == 0, output
    assert "[ ]" in output
    assert not (postgres.locate(copied.var).data / "postmaster.pid").exists()


def test_an_unmigrated_database_is_one_line_with_the_command_to_run(copied: Project) -> None:
    code, output = copied.run("cycles")
    assert (code, len(output.splitlines())) == (2, 1), output
    assert output.startswith("orbit: The database isn't migrated: relation ")
    assert "Run `manage.py migrate`" in output


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["trigger", "--wait"], True),
        (["migrate"], True),
        (["check"], False),
        (["check", "--database", "default"], True),
        (["migrate", "--help"], False),
        (["help", "migrate"], False),
        ([], False),
        (["--version"], False),
        (["up", "--demo"], False),
        (["health", "cluster"], False),
    ],
)
def test_only_commands_that_read_tables_get_a_database(arguments: list[str], needed: bool) -> None:
    assert django_command.needs_database(["manage.py", *arguments]) is needed


def test_help_needs_no_database_and_no_folder_to_write(copied: Project) -> None:
    code, output = copied.run(
        "help", DATABASE_URL="postgresql://me@127.0.0.1:1/orbit", ORBIT_SECRET_KEY="x" * 60
    )
    assert code == 0
    assert {"migrate", "up", "web"} <= set(output.split())


def test_an_old_python_is_refused_in_words(copied: Project) -> None:
    source = Path(entry.__file__).read_text()
    first = source[: source.index("import signal")]
    assert "sys.version_info" in first
    with pytest.raises(SystemExit, match=r"Python 3\.11 to 3\.14 is needed; this is 3\.9\.1"):
        exec(
            first,
            {"sys": None, "__builtins__": {"__import__": lambda *_: _OldPython, "__name__": "x"}},
        )


class _OldPython:
    version_info = (3, 9, 1, "final", 0)
    version = "3.9.1 (main)"

    @staticmethod
    def exit(message: str) -> None:
        raise SystemExit(message)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DJANGO_SETTINGS_MODULE": "other.settings"}, "DJANGO_SETTINGS_MODULE='other.settings'"),
        ({"PYTHONOPTIMIZE": "2"}, "Python runs without its checks and texts (PYTHONOPTIMIZE"),
        ({"DATABASE_URL": "postgresql://u:hush@h/d?sslmod=a"}, "DATABASE_URL has the parameter"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "web", "health cluster"])
def test_a_strange_shell_is_one_line_and_exit_code_2(
    copied: Project, command: str, variables: dict[str, str], message: str
) -> None:
    code, output = copied.run(*command.split(), **variables)
    assert (code, len(output.splitlines())) == (2, 1), output
    assert output.startswith(f"orbit: {message}"), output
    assert "hush" not in output


def test_settings_of_another_project_are_no_option(copied: Project) -> None:
    code, output = copied.run("check", "--settings=other.settings")
    assert (code, output) == (
        2,
        "orbit: --settings isn't possible: Orbit has its own. Leave it out.\n",
    )


def test_a_bad_line_of_the_file_is_one_line_for_every_command(copied: Project) -> None:
    path = copied.folder / ".env"
    path.write_text("# ours\nORBIT_PASSWORD hush\n")
    try:
        for command in ("up", "web", "cluster", "health web", "check"):
            code, output = copied.run(*command.split())
            assert code == 2
            assert output == (
                f"orbit: {path}, line 2: it is no assignment. "
                "Write NAME=value, or # before a comment.\n"
            )
    finally:
        path.unlink()


def test_a_misspelt_name_is_a_warning_and_a_health_check_is_silent(copied: Project) -> None:
    code, output = copied.run("check", ORBIT_GLOBALPAUSE="hush")
    assert code == 0
    assert output.startswith(
        "orbit: warning: This release doesn't use ORBIT_GLOBALPAUSE. "
        "Did you mean ORBIT_GLOBAL_PAUSE?\n"
    )
    assert "hush" not in output
    _, output = copied.run("health", "web", ORBIT_GLOBALPAUSE="hush")
    assert "ORBIT_GLOBALPAUSE" not in output


def test_text_is_utf8_whatever_the_locale_says(copied: Project) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for shell in (ascii_only, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}):
        code, output = copied.run("help", "grüße", **shell)
        assert code == 1
        assert "grüße" in output, (shell, output)
        assert "Traceback" not in output


def test_a_byte_that_is_not_utf8_in_an_argument_is_no_traceback(copied: Project) -> None:
    code, output = copied.run("halt", "gr\udcfc\udcdfe", "--reason", "a", LC_ALL="C")
    assert code != 0
    assert "Traceback" not in output
