"""Coverage: which sessions didn't report what a session has to report."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from governance.kernel import clock
from telemetry import coverage
from telemetry.coverage import SessionCoverage, Status
from telemetry.events import SELFCHECK_NAMESPACE
from telemetry.ingest import batch
from tests.support.callers import api, console, create_user

pytestmark = pytest.mark.django_db(databases="__all__")


def report(session: str, *names: str, **columns: Any) -> None:
    """Store events of ``session``; ``task_end:T2`` is one of the task T2, ``T`` is the default."""
    rows = []
    for text in names:
        name, _, task = text.partition(":")
        rows.append(
            batch.event(
                name,
                session_id=session,
                task_id=task or ("T" if name.startswith("task") else None),
                **columns,
            )
        )
    batch.store(rows)


def declare(session: str, declared: Any, task: str = "T") -> None:
    """Start a task that declares artifacts."""
    metadata = {"artifacts_declared": declared}
    batch.store([batch.event("task_start", session_id=session, task_id=task, metadata=metadata)])


def emit(session: str, *paths: str) -> None:
    """Report artifacts."""
    batch.store(
        [
            batch.event(
                "artifact_emit", session_id=session, metadata={"path_name": path, "size": 1}
            )
            for path in paths
        ]
    )


def only(session: str, **options: Any) -> SessionCoverage:
    """Return the coverage of one session."""
    [found] = coverage.scan(session=session, **options).sessions
    return found


def test_a_session_that_reports_all_passes() -> None:
    report("s", "task_start", "task_end", "command_end")
    assert only("s") == SessionCoverage("s", Status.PASS)
    assert coverage.scan().overall is Status.PASS


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        (["task_end", "command_end"], ["task_start"]),
        (["task_start", "command_end"], ["task_end"]),
        (["task_start", "task_end"], ["command_end"]),
        (["artifact_emit"], ["task_start", "task_end", "command_end"]),
        (["task_start:A", "task_start:B", "task_end:A", "command_end"], ["task_end"]),
        (["task_start:A", "task_end:B", "command_end"], ["task_end"]),
        (["command_start"] * 2 + ["command_end", "task_start", "task_end"], ["command_end"]),
    ],
)
def test_a_missing_core_event_fails_the_session(events: list[str], missing: list[str]) -> None:
    report("s", *events)
    found = only("s")
    assert (found.status, found.codes) == (Status.FAIL, ["FAIL_CORE_MISSING"])
    assert found.missing == missing


def test_a_failed_session_names_the_tasks_without_an_end() -> None:
    report("s", "task_start:A", "task_start:B", "task_start:C", "task_end:B", "command_end")
    assert only("s").open_tasks == ["A", "C"]


def test_a_declared_artifact_that_is_missing_is_a_warning_with_its_path() -> None:
    report("s", "task_end", "command_end")
    declare("s", ["out/b.xml", "a.log", "c d.txt"])
    emit("s", "a.log")
    found = only("s")
    assert (found.status, found.codes) == (Status.WARN, ["WARN_ARTIFACT_MISSING"])
    assert found.missing == ["artifact_emit:c d.txt", "artifact_emit:out/b.xml"]
    emit("s", "out/b.xml", "c d.txt")
    assert only("s").status is Status.PASS


def test_a_declared_number_of_artifacts_counts_different_paths() -> None:
    report("s", "task_end", "command_end")
    declare("s", 3)
    emit("s", "a", "a", "b")
    found = only("s")
    assert (found.status, found.missing, found.missing_artifacts) == (
        Status.WARN,
        ["artifact_emit"],
        1,
    )
    emit("s", "c")
    assert only("s").status is Status.PASS


@pytest.mark.parametrize("declared", [None, "x", {}, [], 0, [None], True])
def test_a_declaration_that_declares_nothing_asks_for_nothing(declared: Any) -> None:
    report("s", "task_end", "command_end")
    declare("s", declared)
    assert only("s").status is Status.PASS


def test_many_missing_artifacts_are_listed_up_to_a_hundred_and_counted() -> None:
    report("s", "task_end", "command_end")
    declare("s", [f"f{number:04}" for number in range(250)])
    found = only("s")
    assert (len(found.missing), found.missing_artifacts) == (coverage.LISTED, 250)


def test_events_of_a_session_may_lie_on_several_days() -> None:
    now = clock.now()
    report("s", "task_start", occurred_at=now - timedelta(days=5))
    report("s", "task_end", "command_end", occurred_at=now)
    assert only("s").status is Status.PASS
    today = coverage.scan(since=now - timedelta(hours=1))
    assert [found.status for found in today.sessions] == [Status.PASS]
    later = coverage.scan(since=now + timedelta(hours=1))
    assert (later.sessions, later.overall) == ([], Status.PASS)


def test_a_session_that_is_asked_for_and_never_reported_fails() -> None:
    found = coverage.scan(session="silent")
    assert (found.overall, found.sessions_with_gaps) == (Status.FAIL, 1)
    assert found.sessions[0].missing == ["task_start", "task_end", "command_end"]


@pytest.mark.parametrize(
    ("warned", "overall"), [(0, "PASS"), (1, "WARN"), (2, "WARN"), (3, "FAIL")]
)
def test_overall_fails_with_more_than_two_gaps(warned: int, overall: str) -> None:
    report("whole", "task_start", "task_end", "command_end")
    for number in range(warned):
        report(f"s{number}", "task_end", "command_end")
        declare(f"s{number}", ["a"])
    found = coverage.scan()
    assert (found.overall, found.sessions_with_gaps) == (overall, warned)


def test_one_failed_session_fails_the_whole() -> None:
    report("whole", "task_start", "task_end", "command_end")
    report("s", "task_start")
    assert coverage.scan().overall is Status.FAIL


def test_a_confined_caller_sees_the_events_of_its_namespaces_only() -> None:
    report("s", "task_start", "command_end", namespace="a")
    report("s", "task_end", namespace="b")
    report("t", "task_start", "task_end", "command_end")
    assert only("s").status is Status.PASS
    assert only("s", namespaces=["a"]).missing == ["task_end"]
    assert [found.session_id for found in coverage.scan(namespaces=["b"]).sessions] == ["s"]
    assert only("t", namespaces=["a"]).status is Status.FAIL


def test_a_selfcheck_is_shown_only_if_it_is_asked_for() -> None:
    report("selfcheck-1", "task_start", namespace=SELFCHECK_NAMESPACE)
    assert coverage.scan().sessions_total == 0
    assert only("selfcheck-1").status is Status.FAIL


def test_orbits_own_commands_and_ingests_are_judged_by_what_they_are() -> None:
    report("orbit:status:1", "command_start")
    report("orbit-ingest-1", "task_start", "task_end")
    found = coverage.scan()
    assert [(one.session_id, one.status) for one in found.sessions] == [("orbit-ingest-1", "PASS")]
    assert only("orbit:status:1").missing == ["command_end"]
    report("orbit-ingest-2", "task_start")
    assert only("orbit-ingest-2").missing == ["task_end"]


def test_pages_have_gaps_first_and_each_session_once() -> None:
    for number in range(7):
        report(f"s{number}", "task_start", "task_end", "command_end")
    report("z", "task_start")
    order = ["z", *(f"s{number}" for number in range(7))]
    first = coverage.scan(size=3)
    assert [found.session_id for found in first.sessions] == order[:3]
    second = coverage.scan(size=3, edge=first.sessions[-1].edge)
    assert [found.session_id for found in second.sessions] == order[3:6]
    last = coverage.scan(size=3, edge=second.sessions[-1].edge)
    assert [found.session_id for found in last.sessions] == order[6:]
    assert (second.start, second.has_next, last.has_next) == (3, True, False)
    back = coverage.scan(size=3, edge=last.sessions[0].edge, backwards=True)
    assert back == second
    assert coverage.scan(size=3, edge=(2, "zzz")).sessions_total == 8


def test_the_database_reads_the_index_of_required_events() -> None:
    assert coverage.COVERAGE.using  # loaded for the database of telemetry
    with coverage.database.connection().cursor() as cursor:
        cursor.execute(
            "SELECT count(*), bool_and(x.indisvalid) FROM pg_inherits i"
            " JOIN pg_index x ON x.indexrelid IN (i.inhrelid, i.inhparent)"
            " WHERE i.inhparent = 'telemetry_event_session'::regclass"
        )
        parts, valid = cursor.fetchone()
    assert parts > 1
    assert valid


def test_the_answer_has_the_shape_of_the_contract_and_pages() -> None:
    for number in range(3):
        report(f"s{number}", "task_start", "task_end", "command_end")
    report("gap", "task_start", "command_end")
    client = api(create_user("vic", "Viewer"))
    first = client.get("/telemetry/coverage?limit=2").json()
    assert (first["overall"], first["sessions_with_gaps"]) == ("FAIL", 1)
    gap = first["sessions"][0]
    assert (gap["session_id"], gap["status"]) == ("gap", "FAIL")
    assert (gap["missing"], gap["codes"]) == (["task_end"], ["FAIL_CORE_MISSING"])
    assert first["previous"] is None
    second = client.get(first["next"]).json()
    assert [row["session_id"] for row in second["sessions"]] == ["s1", "s2"]
    assert second["next"] is None
    assert client.get(second["previous"]).json()["sessions"] == first["sessions"]


def test_one_session_is_asked_for_by_its_id() -> None:
    report("a b/ü", "task_start", "task_end", "command_end")
    client = api(create_user("vic", "Viewer"))
    answer = client.get("/telemetry/coverage?session_id=a%20b%2F%C3%BC").json()
    assert answer["overall"] == "PASS"
    assert client.get("/telemetry/coverage?session_id=none").json()["overall"] == "FAIL"


def test_a_confined_caller_gets_no_session_of_others_by_any_parameter() -> None:
    report("s", "task_start", namespace="us")
    client = api(create_user("bea", "Viewer", "eu"))
    assert client.get("/telemetry/coverage").json()["sessions"] == []
    assert client.get("/telemetry/coverage?namespace=us").json()["sessions"] == []
    hidden = client.get("/telemetry/coverage?session_id=s").json()
    nothing = client.get("/telemetry/coverage?session_id=t").json()
    assert [row["missing"] for row in hidden["sessions"]] == [
        row["missing"] for row in nothing["sessions"]
    ]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "limit=0",
        "limit=1001",
        "from=yesterday",
        "x=1",
        "session_id=a%00b",
        "namespace=a%00b",
    ],
)
def test_a_bad_parameter_is_refused(query: str) -> None:
    client = api(create_user("vic", "Viewer"))
    assert client.get(f"/telemetry/coverage?{query}").status_code == 400


@pytest.mark.parametrize(
    ("events", "code", "strict", "word"),
    [
        (["task_start", "task_end", "command_end"], 0, 0, "PASS"),
        (["task_start"], 1, 1, "FAIL"),
        (["declare", "task_end", "command_end"], 0, 8, "WARN"),
    ],
)
def test_the_command_says_it_in_words_in_json_and_by_its_exit_code(
    events: list[str], code: int, strict: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "declare" in events:
        declare("s", ["a.xml"])
    report("s", *(name for name in events if name != "declare"))
    for form, expected in (
        ([], code),
        (["--json"], code),
        (["--session", "s"], code),
        (["--strict"], strict),
    ):
        with pytest.raises(SystemExit) as ended:
            call_command("telemetry", "coverage", *form)
        assert ended.value.code == expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{word}: ")
    document = json.loads(next(line for line in lines if line.startswith("{")))
    assert (document["overall"], document["sessions"][0]["status"]) == (word, word)


def test_the_page_shows_gaps_first_in_words_and_foreign_text_as_text() -> None:
    report("fine", "task_start", "task_end", "command_end", namespace="eu")
    report("<b>gap</b>", "task_start:T1", "command_end", namespace="eu")
    report("other", "task_start", namespace="us")
    answer = console(create_user("bea", "Viewer", "eu")).get("/admin/telemetry/coverage/")
    assert answer.context["page"].result.sentence == (
        "Fail: 1 of 2 sessions has gaps. 1 of them didn't report a core event."
    )
    rows = answer.context["page"].result.sessions
    assert [(row.session_id, row.status, row.cells) for row in rows] == [
        ("<b>gap</b>", "FAIL", [True, False, True]),
        ("fine", "PASS", [True, True, True]),
    ]
    page = answer.content.decode()
    assert "&lt;b&gt;gap&lt;/b&gt;" in page
    assert "missing" in page
    assert "other" not in page


def test_the_page_has_words_for_a_task_without_an_id() -> None:
    batch.store([batch.event("task_start", session_id="s1")])
    page = console(create_user("vic", "Viewer")).get("/admin/telemetry/coverage/").content.decode()
    assert "of a task without an id" in page


def test_the_pages_parameters_are_harmless() -> None:
    browser = console(create_user("vic", "Viewer"))
    for query in (
        "days=x",
        "edge=9:x",
        "edge=0:",
        "session=",
        "back=1",
        "edge=0:%27",
        "days=0",
        "session=%ff%ed%a0%80",
        "days=%C2%B2",
    ):
        assert browser.get(f"/admin/telemetry/coverage/?{query}").status_code == 200
