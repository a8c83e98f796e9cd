"""No command can print what a terminal would obey."""

import ast
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from governance.kernel.commands import EscapedOutput, OrbitCommand

OWN = ("governance", "telemetry", "orbit", "advisory", "orbit_site")
#: They run a server or print only what Orbit itself says.
WITHOUT_DATA = {"cluster", "qcluster", "web", "up", "health", "migrate"}
COMMANDS = sorted(
    (app, name)
    for name, app in get_commands().items()
    if app.split(".")[0] in OWN and name not in WITHOUT_DATA
)
PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = [
    *PROJECT.glob("*/management/commands/*.py"),
    *PROJECT.glob("orbit/management/*.py"),
    *PROJECT.glob("telemetry/subcommands/*.py"),
    PROJECT / "governance" / "operations" / "bulk_command.py",
]


@pytest.mark.parametrize(("app", "name"), COMMANDS)
def test_a_command_s_output_is_escaped_also_if_its_streams_are_given(app: str, name: str) -> None:
    command = load_command_class(app, name)
    assert isinstance(command, OrbitCommand)
    assert isinstance(command.stdout, EscapedOutput)
    assert isinstance(command.stderr, EscapedOutput)

    class Stopped(Exception):
        pass

    def handle(*args: object, **options: object) -> None:
        command.stdout.write("out\x1b[2J")
        command.stderr.write("error\u202e")
        raise Stopped

    command.handle = handle  # type: ignore[method-assign]
    command.requires_system_checks = []
    out, error = StringIO(), StringIO()
    with pytest.raises(Stopped):
        command.execute(
            stdout=out, stderr=error, force_color=False, no_color=True, skip_checks=True
        )
    assert out.getvalue() == "out\\x1b[2J\n"
    assert error.getvalue() == "error\\u202e\n"


def test_no_command_prints_past_its_output() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in FOLDERS
        if path.stem not in WITHOUT_DATA
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "print")
            or (isinstance(node.func, ast.Attribute) and node.func.attr == "write")
        )
        and ast.unparse(node.func) not in {"out.write"}
        and not any(keyword.arg == "ending" for keyword in node.keywords)
    ]
    assert found == []
