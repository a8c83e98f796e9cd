"""The dump runs in one transaction: a failure keeps nothing."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from orbit_site.backup import container
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.backups import call, is_empty, rows, start
from tests.support.polling import until

pytestmark = pytest.mark.processes
ODD = "a\tb\\n\n\\.\nCOPY public.x (a) FROM stdin;\n-- ä \r\n\\N"


def test_a_dump_that_is_no_dump_is_refused_in_words(
    server: Server, a_backup: Path, elsewhere: str, tmp_path: Path
) -> None:
    with container.opened(a_backup) as opened:
        container.write(tmp_path / "odd", opened.manifest, iter([b"PGDMP nonsense"]), force=False)
        half = b"".join(opened.chunks())[: opened.size * 2 // 3]
        container.write(tmp_path / "half", opened.manifest, iter([half]), force=False)
    for name in ("odd", "half"):
        code, _, errors = call(server, elsewhere, "restore", str(tmp_path / name))
        assert code == 7, errors
        assert "pg_restore failed" in errors or "The dump ends" in errors
        assert "Traceback" not in errors
        assert is_empty(server, elsewhere)


def test_text_that_looks_like_the_script_comes_back_as_it_was(
    server: Server, used: str, elsewhere: str, tmp_path: Path
) -> None:
    with psycopg.connect(server.url("orbit_owner", used)) as owner:
        owner.execute(
            "CREATE TABLE odd (t text, b bytea, n int GENERATED ALWAYS AS (length(t)) STORED)"
        )
        owner.execute(
            "INSERT INTO odd (t, b) VALUES (%s, %s), (NULL, NULL), ('', ''), (%s, %s)",
            [ODD, os.urandom(1000), "x" * 3_000_000, os.urandom(1 << 20)],
        )
    assert call(server, used, "backup", str(tmp_path / "odd.backup"))[0] == 0
    code, _, errors = call(server, elsewhere, "restore", str(tmp_path / "odd.backup"))
    assert code == 0, errors
    assert rows(server, elsewhere, "SELECT * FROM odd ORDER BY n") == rows(
        server, used, "SELECT * FROM odd ORDER BY n"
    )


BODY = """
-- A comment at the beginning of a line.

DECLARE
    odd text := 'an open quote
COPY public.auth_user FROM stdin;
--
-- Name: auth_user; Type: TABLE; Schema: public
--

\\.
\\restrict word
\\unrestrict word
SET transaction_timeout = 0;
';
BEGIN

    /* COPY public.auth_user FROM stdin;
    */
    RETURN odd;\t
END
"""


def test_a_function_comes_back_byte_for_byte(
    server: Server, used: str, elsewhere: str, tmp_path: Path
) -> None:
    with psycopg.connect(server.url("orbit_owner", used)) as owner:
        for n in range(2):  # the first and the last of the script look different
            owner.execute(
                f"CREATE FUNCTION odd_{n}() RETURNS text LANGUAGE plpgsql AS $body${BODY}$body$"
            )
            owner.execute(
                psycopg.sql.SQL("COMMENT ON FUNCTION {} IS {}").format(
                    psycopg.sql.Identifier(f"odd_{n}"), BODY
                )
            )
        owner.execute("CREATE VIEW zzz AS SELECT 'a\n\n-- b\n\\.\nCOPY x FROM stdin;\n' AS t")
    assert call(server, used, "backup", str(tmp_path / "odd.backup"))[0] == 0
    code, _, errors = call(server, elsewhere, "restore", str(tmp_path / "odd.backup"))
    assert code == 0, errors
    for query in (
        "SELECT proname, prosrc, obj_description(oid) FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2",
        "SELECT t, odd_0() FROM zzz",
    ):
        assert rows(server, elsewhere, query) == rows(server, used, query)


def test_one_that_is_killed_in_the_middle_leaves_nothing_and_can_be_repeated(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    with psycopg.connect(server.url(SUPERUSER, elsewhere)) as owner:
        owner.execute(
            "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_lock_shared(7); END $$"
        )
        owner.execute(
            "CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION wait()"
        )
    waiting = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event = 'advisory'"
    )
    for number in (signal.SIGINT, signal.SIGKILL):
        with psycopg.connect(server.url("orbit_owner", elsewhere), autocommit=True) as gate:
            gate.execute("SELECT pg_advisory_lock(7)")
            restoring = start(server, elsewhere, "restore", str(a_backup))
            until(lambda: rows(server, elsewhere, waiting), "the restore creates no index")
            restoring.send_signal(number)
            # The server notices only when it next writes to the closed connection.
            for (pid,) in rows(server, elsewhere, waiting):
                rows(server, "postgres", f"SELECT pg_terminate_backend({pid})")
        restoring.communicate(timeout=60)
        until(
            lambda: (
                rows(
                    server,
                    "postgres",
                    f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{elsewhere}'",
                )
                == [(0,)]
            ),
            "a session is left",
        )
        assert is_empty(server, elsewhere), number
    with psycopg.connect(server.url(SUPERUSER, elsewhere)) as owner:
        owner.execute("DROP EVENT TRIGGER wait; DROP FUNCTION wait()")
    assert call(server, elsewhere, "restore", str(a_backup))[0] == 0
