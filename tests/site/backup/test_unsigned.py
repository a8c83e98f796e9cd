"""A file of another author runs nothing, unless an operator says that it may."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.test import override_settings

from orbit_site.backup import container, layout
from orbit_site.processes.postgres import Server
from tests.support.backups import call, is_empty, rewritten, rows, start

pytestmark = pytest.mark.processes
PAYLOAD = "DO $$ BEGIN RAISE EXCEPTION 'the payload ran'; END $$;"
FOREIGN = override_settings(ORBIT_ENCRYPTION_KEYS=[Fernet.generate_key().decode()])


def foreign(path: Path, change: Callable[[bytes], bytes] = lambda dump: dump) -> Path:
    """Return a copy of a backup that another installation signed."""
    other = path.with_suffix(".foreign")
    with container.opened(path) as opened, FOREIGN:
        dump = change(b"".join(opened.chunks()))
        container.write(other, opened.manifest, iter([dump]), force=True)
    return other


def with_payload(dump: bytes) -> bytes:
    """Put a statement in the place of another, of the same length."""
    (statement,) = re.findall(rb"CREATE TABLE public\.django_session \([^;]*\);\n", dump)
    return dump.replace(statement, PAYLOAD.encode().ljust(len(statement), b"\n"))


def last_entry(server: Server, name: str) -> dict[str, object]:
    query = (
        "SELECT after FROM governance_audittrailentry WHERE action = 'backup.restored' "
        "ORDER BY id DESC LIMIT 1"
    )
    ((after,),) = rows(server, name, query)
    assert isinstance(after, dict)
    return after


def test_a_file_that_another_installation_signed_runs_nothing(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    path = foreign(a_backup, with_payload)
    code, _, errors = call(server, elsewhere, "restore", str(path))
    assert code == 4
    assert "was signed with a key of another installation" in errors
    assert "--unsigned" in errors
    assert "payload" not in errors
    assert is_empty(server, elsewhere)
    # That it would have run is true.
    code, _, errors = call(server, elsewhere, "restore", str(path), "--unsigned")
    assert code == 7
    assert "Its author can run any SQL as the role orbit_owner" in errors
    assert "the payload ran" in errors
    assert is_empty(server, elsewhere)


def test_an_operator_can_restore_it_all_the_same_and_the_trail_says_so(
    server: Server, used: str, a_backup: Path, elsewhere: str
) -> None:
    bare = a_backup.with_suffix(".bare")
    bare.write_bytes(a_backup.read_bytes()[: -layout.BLOCK])
    code, _, errors = call(server, elsewhere, "restore", str(bare))
    assert code == 4
    assert "isn't signed: it was made by a release that signed nothing" in errors
    assert is_empty(server, elsewhere)
    code, output, errors = call(server, elsewhere, "restore", str(bare), "--unsigned", "--json")
    assert code == 0, errors
    assert "Restore it only if you trust everyone who could write to it" in errors
    assert json.loads(output)["signed"] is False
    assert last_entry(server, elsewhere)["signed"] is False


def test_the_warning_says_if_programs_can_be_run_as_well(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", elsewhere), autocommit=True) as owner:
        ((is_superuser,),) = owner.execute("SELECT rolsuper FROM pg_roles WHERE rolname = user")
    bad = foreign(a_backup, with_payload)
    _, _, errors = call(server, elsewhere, "restore", str(bad), "--unsigned")
    assert ("any program on the database server's machine" in errors) == is_superuser
    _, _, errors = call(server, elsewhere, "restore", str(bad), "--unsigned", owner="orbit_app")
    assert "Its author can run any SQL as the role orbit_app. Restore it only" in errors


def test_a_signed_one_needs_no_word_and_none_is_said(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    code, output, errors = call(server, elsewhere, "restore", str(a_backup), "--unsigned", "--json")
    assert (code, errors) == (0, "")
    assert json.loads(output)["signed"] is True
    assert last_entry(server, elsewhere)["signed"] is True


def test_after_a_rotation_older_backups_can_still_be_restored(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    keys = [Fernet.generate_key().decode(), *settings.ORBIT_ENCRYPTION_KEYS]
    with override_settings(ORBIT_ENCRYPTION_KEYS=keys):
        code, _, errors = call(server, elsewhere, "restore", str(a_backup))
    assert code == 0, errors


@pytest.mark.parametrize(("answer", "expected"), [("no\n", 4), ("yes\n", 7)])
def test_on_a_terminal_it_asks(
    server: Server, a_backup: Path, elsewhere: str, answer: str, expected: int
) -> None:
    terminal, theirs = os.openpty()
    restoring = start(
        server, elsewhere, "restore", str(foreign(a_backup, with_payload)), "--unsigned",
        stdin=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.write(terminal, answer.encode())
    _, errors = restoring.communicate(timeout=120)
    os.close(terminal)
    assert restoring.returncode == expected, errors
    assert 'Type "yes" to restore it' in errors
    assert ("the payload ran" in errors) == (expected == 7)
    assert is_empty(server, elsewhere)


def test_a_function_in_the_manifest_is_a_name_and_no_statement(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    evil = "orbit_uuid_floor(timestamp with time zone) FROM PUBLIC; CREATE TABLE evil (n int); --"
    path = rewritten(a_backup, private_functions=[evil])
    code, _, errors = call(server, elsewhere, "restore", str(path))
    assert code == 4
    assert "The manifest names a function that isn't there: 'orbit_uuid_floor" in errors
    assert is_empty(server, elsewhere)


def test_a_table_in_the_manifest_is_a_name_and_no_statement(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    path = rewritten(a_backup, rows={'x"; DROP TABLE auth_user; --\x1b[2J': 1})
    code, _, errors = call(server, elsewhere, "restore", str(path))
    assert code == 4
    assert "has None rows, the backup had 1" in errors
    assert "\x1b" not in errors
    assert is_empty(server, elsewhere)


def test_between_the_rows_nothing_else_is_run(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    def change(dump: bytes) -> bytes:
        copy = b"COPY public.django_session (session_key, session_data, expire_date) FROM stdin;\n"
        assert copy in dump
        return dump.replace(copy, b"COPY public.auth_user TO PROGRAM 'id';\n".rjust(len(copy)))

    code, _, errors = call(
        server, elsewhere, "restore", str(foreign(a_backup, change)), "--unsigned"
    )
    assert code == 7
    assert "Among its rows the dump has something else:" in errors
    assert "TO PROGRAM" in errors
    assert is_empty(server, elsewhere)
