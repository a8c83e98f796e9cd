"""What users and receivers have written, as commands print it."""

import json
from datetime import UTC, datetime
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command

from governance.access.actors import SYSTEM
from governance.kernel.commands import EscapedOutput
from governance.management.commands import namespace
from governance.models import OperationRun
from governance.namespaces import halts, registry

pytestmark = pytest.mark.django_db
HOSTILE = "stop\x1b[2J\rfake\nline\a\u202e\u2028\x9b\u200b\tgrüße 日本"
SHOWN = r"stop\x1b[2J\rfake\nline\x07\u202e\u2028\x9b\u200b\tgrüße 日本"


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def halted() -> None:
    registry.create("eu", actor=SYSTEM)
    halts.halt("eu", actor=SYSTEM, reason=HOSTILE)


@pytest.mark.usefixtures("halted")
def test_a_halt_s_reason_is_escaped_in_its_line() -> None:
    out = StringIO()
    call_command("namespace", "show", "eu", stdout=out)
    assert f"reason         {SHOWN}" in out.getvalue().split("\n")


@pytest.mark.usefixtures("halted")
def test_json_is_exact_in_a_file_and_means_the_same_on_a_terminal() -> None:
    file, terminal = StringIO(), Terminal()
    for out in (file, terminal):
        call_command("namespace", "show", "eu", "--json", stdout=out)
        assert json.loads(out.getvalue())["reason"] == HOSTILE
    assert "\u202e" in file.getvalue()
    assert not {"\u202e", "\x9b", "\u2028", "\x1b"} & set(terminal.getvalue())


@pytest.mark.usefixtures("halted")
def test_an_export_of_the_audit_trail_to_a_terminal_is_escaped_too() -> None:
    file, terminal = StringIO(), Terminal()
    for out in (file, terminal):
        call_command("audit", "export", "-", stdout=out)
    assert not {"\u202e", "\x9b", "\u2028", "\x1b"} & set(terminal.getvalue())
    entries = [
        [json.loads(line) for line in out.getvalue().split("\n")[:-2]] for out in (file, terminal)
    ]
    assert entries[0] == entries[1]
    assert entries[0][-1]["reason"] == HOSTILE


def test_a_refusal_is_one_escaped_line(capsys: pytest.CaptureFixture[str]) -> None:

    with pytest.raises(SystemExit):
        namespace.Command().run_from_argv(["manage.py", "namespace", "show", HOSTILE])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not {"\u202e", "\x9b", "\u2028", "\x1b", "\r"} & set(error)


def test_notes_of_runs_are_escaped_in_lists_and_pages() -> None:
    run = OperationRun.objects.create(
        id=uuid4(),
        type="dlq.requeue",
        status="queued",
        initiator=HOSTILE,
        next_due_at=datetime.now(UTC),
        progress={"note": HOSTILE},
    )
    for words in ([], [str(run.pk)]):
        out = StringIO()
        call_command("operations", *words, stdout=out)
        assert not {"\u202e", "\x9b", "\u2028", "\x1b", "\r"} & set(out.getvalue())


def test_a_style_is_kept_outside_of_the_escaping() -> None:
    terminal = Terminal()
    EscapedOutput(terminal).write("a\x1b", lambda text: f"\x1b[31m{text}\x1b[0m")
    assert terminal.getvalue() == "\x1b[31ma\\x1b\n\x1b[0m"
