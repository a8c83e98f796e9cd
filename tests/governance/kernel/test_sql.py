"""Statements in files: assembled, checked, run."""

from pathlib import Path

import psycopg
import pytest
from django.db import connection

from governance.kernel import sql
from governance.kernel.sql import Fragment, StatementInvalid
from telemetry import staging
from telemetry.consumers import projection
from telemetry.reconcile import compare

ROOM = "room.module"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module's folder of statements; they are unloaded afterwards."""
    folder = tmp_path / "room" / "sql"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sql, "PROJECT", tmp_path)
    monkeypatch.setattr(sql, "REGISTRY", {})
    return folder


def test_a_statement_is_its_file_without_comments(files: Path) -> None:
    (files / "add.sql").write_text(
        "-- Add.\n-- params: a int\nSELECT %(a)s::int + 1; -- one more\n"
    )
    statement = sql.load(ROOM, "add")
    assert statement.text.split() == ["SELECT", "%(a)s::int", "+", "1"]
    assert statement.params == {"a": "int"}


def test_a_fragment_takes_arguments_and_brings_its_parameters(files: Path) -> None:
    (files / "near.sql").write_text(
        "-- args: x, y\n-- params: far int\nabs({{x}} - {{y}}) < %(far)s\n"
    )
    (files / "list.sql").write_text("SELECT 1 WHERE {{near(least(1, 2), 3)}}\n")
    statement = sql.load(ROOM, "list", near=sql.fragment(ROOM, "near"))
    assert statement.text == "SELECT 1 WHERE abs(least(1, 2) - 3) < %(far)s"
    assert statement.params == {"far": "int"}


@pytest.mark.parametrize(
    ("text", "fragments", "why"),
    [
        ("SELECT %(a)s", {}, "uses"),
        ("-- params: a int, b int\nSELECT %(a)s", {}, "uses"),
        ("SELECT {{part}}", {}, "not passed"),
        ("SELECT 1", {"part": "2"}, "not used"),
        ("SELECT {{part(1, 2)}}", {"part": Fragment("{{x}}", ("x",))}, "takes 1"),
        (
            "-- params: a int\nSELECT %(a)s, {{part}}",
            {"part": Fragment("%(a)s", (), {"a": "text"})},
            "a is int and text",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_at_import(
    files: Path, text: str, fragments: dict[str, str | Fragment], why: str
) -> None:
    (files / "odd.sql").write_text(text)
    with pytest.raises(StatementInvalid, match=why):
        sql.load(ROOM, "odd", **fragments)


@pytest.mark.django_db
def test_rows_one_and_execute(files: Path) -> None:
    (files / "numbers.sql").write_text(
        "-- params: most int\nSELECT n FROM generate_series(1, %(most)s) AS n\n"
    )
    numbers = sql.load(ROOM, "numbers")
    assert numbers.rows(most=2) == [(1,), (2,)]
    assert numbers.one(most=2) == (1,)
    assert numbers.one(most=0) is None
    assert numbers.execute(most=3) == 3


def test_a_call_names_exactly_the_parameters(files: Path) -> None:
    (files / "one.sql").write_text("-- params: a int\nSELECT %(a)s::int\n")
    with pytest.raises(TypeError, match=r"takes \['a'\], not \['b'\]"):
        sql.load(ROOM, "one").rows(b=1)


@pytest.fixture
def temporary_tables(db: None) -> None:
    """The tables that a connection creates for itself."""
    staging.prepare()
    projection.prepare_replay()
    with connection.cursor() as cursor:
        cursor.execute(compare.AUTHORITY_TABLE)


@pytest.fixture
def statistics_view(db: None) -> None:
    """The view of the server's statistics. Orbit asks whether it is there before it reads it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
        if cursor.fetchone() is None:
            columns = "query text, calls int8, mean_exec_time float8, total_exec_time float8"
            cursor.execute(f"CREATE TEMPORARY TABLE pg_stat_statements (dbid oid, {columns})")
        else:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


@pytest.mark.usefixtures("temporary_tables", "statistics_view")
@pytest.mark.parametrize("name", sorted(sql.REGISTRY))
def test_postgresql_accepts_every_statement_with_the_types_it_declares(name: str) -> None:
    statement = sql.REGISTRY[name]
    text, kinds = statement.text, []
    for place, (param, kind) in enumerate(statement.params.items(), start=1):
        text = text.replace(f"%({param})s", f"${place}")
        kinds.append(kind)
    text = text.replace("%%", "%") if kinds else text
    declared = f"({', '.join(kinds)})" if kinds else ""
    # Only statements without parameters are several: the server takes one with them.
    texts = [text] if kinds else text.split(";")
    with connection.cursor() as cursor:
        raw: psycopg.Connection = cursor.connection
        for each in texts:
            if each.split()[0] in {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}:  # no others
                raw.execute(f"PREPARE checked{declared} AS {each}")
                raw.execute("DEALLOCATE checked")
