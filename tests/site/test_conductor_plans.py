"""No statement and no list of the conductor reads more with a long backlog or history."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.kernel import sql
from orbit import conductor
from orbit.models import ConductorTask
from orbit.retention import runs as old_runs
from orbit.states import TaskState
from orbit_site.processes.postgres import Server
from tests.support import callers, conductor_crowd
from tests.support.crowded import database_of_its_own
from tests.support.pages_read import explained, pages_read

pytestmark = pytest.mark.slow

ROOM = "orbit.conductor."
#: Pages of tables and indexes that one statement may read. The tasks have more than 6,000.
MOST_PAGES = 3_000
#: Pages that a list of runs may read. The runs have 200.
MOST_OF_RUNS = 120
FEW_QUERIES = 40


@pytest.fixture(scope="module")
def crowded(server: Server, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The name of a full database for this module."""
    with django_db_blocker.unblock(), database_of_its_own(server, conductor_crowd.fill) as name:
        yield name


@pytest.fixture(scope="module")
def browser(crowded: str) -> Client:
    return callers.console(callers.create_user("adm", "Administrator"))


@pytest.fixture(scope="module")
def confined(crowded: str) -> Client:
    """A user who sees a large run that is nearly done, and a namespace without runs."""
    return callers.console(callers.create_user("bea", "Operator", "n1", "n150"))


@pytest.fixture(scope="module")
def ids(crowded: str) -> dict[str, Any]:
    """Ids of some rows."""
    tasks = ConductorTask.objects.filter(parent__isnull=False).order_by("id")
    done, begun = conductor_crowd.large_runs()
    held = tasks.filter(state="RUNNING", run_id=begun).order_by("lease_expires_at").last()
    failed = tasks.filter(state="FAILED").exclude(run_id__in=[done, begun])[0]
    assert held is not None
    return {
        "done": done,
        "begun": begun,
        "held": held.pk,
        "token": held.lease_token,
        "failed": failed.pk,
        "failed_parent": failed.parent_id,
    }


def prepared(statement: sql.Statement, values: dict[str, Any], mode: str) -> int:
    """Return how many pages a statement reads with a plan for its values or for any values."""
    names = list(statement.params)
    text = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement.text)
    with connection.cursor() as cursor:
        cursor.execute(f"SET plan_cache_mode = force_{mode}_plan")
        types = ", ".join(statement.params.values())
        cursor.execute(f"PREPARE measured {f'({types})' if types else ''} AS {text}")
        try:
            given = psycopg.ClientCursor(cursor.connection).mogrify(
                ", ".join("%s" for _ in names), [values[name] for name in names]
            )
            return explained(f"EXECUTE measured {f'({given})' if names else ''}")
        finally:
            cursor.execute("DEALLOCATE measured")
            cursor.execute("RESET plan_cache_mode")


def _cases(ids: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the statements' values by name; a few rows each, from the largest sets."""
    claim = {"worker": "w", "most": 10, "give": 10, "lease_seconds": 30, "largest": 1_000_000}
    given = {"ids": [ids["held"]], "tokens": [ids["token"]], "namespaces": None}
    next_ones = {"id": ids["begun"], "up_to": 0, "tasks": 10}
    return {
        "claim": {**claim, "namespaces": None},
        "claim_in_run": {**claim, "run_id": ids["begun"]},
        "expire_leases": {"most": 10},
        "is_there_claimable": {},
        "heartbeat": {**given, "lease_seconds": 30},
        "complete": {**given, "outputs": ["1"]},
        "fail": {**given, "error": "x"},
        "release": {**given, "undone": 1},
        "fan_out": {"prefix": f"01K{'Z' * 18}", "max_fanout": 10, "max_parents": 10},
        "start_bad_parents": {"ids": [ids["begun"]]},
        "fail_bad_parents": {"ids": [ids["begun"]], "errors": ["x"]},
        "fanout_is_pending": {},
        "runs_with_tallies": {"after": "", "candidates": 200, "runs": 20},
        "add_tallies": {"runs": [ids["done"]], "tallies": 10},
        "start_parents": {"parents": [ids["done"]]},
        "end_parents": {"parents": [ids["done"]]},
        "start_cancelling": {"parents": [ids["done"]]},
        "move_runs": {"runs": [ids["done"]]},
        "aggregate_has_work": {},
        "upkeep_waits": {},
        "next_cancelling_parent": {"after": ""},
        "next_cancelling_run": {"after": ""},
        "cancel_children": next_ones,
        "cancel_roots": next_ones,
        "cancel_task": {"id": ids["held"]},
        "release_task": {"id": ids["held"], "attempt": 1},
        "retry_task": {"id": ids["failed"]},
        "begin_retry": {"id": ids["failed_parent"]},
        "next_retrying_parent": {"after": ""},
        "retry_children": next_ones,
        "go_on_retrying": {"id": ids["begun"], "up_to": 1, "is_last": False},
        "reopen_ancestors": {"parent_id": ids["failed_parent"]},
        "counts_of_run": {"run": ids["done"]},
        "sum_tallies_of_runs": {"runs": [ids["done"], ids["begun"]]},
        "sum_tallies_of_parents": {"run": ids["done"], "parents": [ids["done"]]},
        "newest_tasks": {"namespaces": ["n1", "n7"], "runs": 50, "tasks": 50},
        "held_tasks": {"run": ids["done"], "looked_at": 10_000, "limit": 50},
        "count_buckets": {"owner": ids["done"], "first": 1, "last": 10_000, "size": 100},
        "insert_run": {
            "id": "7" * 26,
            "name": "r",
            "namespace": "n1",
            "created_by": "u",
            "roots": 0,
            "tasks": "[]",
        },
    }


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_statements_read_little(ids: dict[str, Any], mode: str) -> None:
    cases = _cases(ids)
    for module in pkgutil.iter_modules(conductor.__path__):
        importlib.import_module(f"{conductor.__name__}.{module.name}")
    statements = {
        name.removeprefix(ROOM): statement
        for name, statement in sql.REGISTRY.items()
        if name.startswith(ROOM)
    }
    assert statements.keys() == cases.keys()
    read = {name: prepared(statements[name], values, mode) for name, values in cases.items()}
    assert {name: pages for name, pages in read.items() if pages > MOST_PAGES} == {}


def costs(
    client: Client, path: str, about: str = "orbit_conductor", most: int = MOST_PAGES
) -> tuple[int, dict[str, int]]:
    """Return how many queries a page takes, and those ``about`` a table that read too much."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    reads = [query["sql"] for query in captured.captured_queries if about in query["sql"]]
    read = {text: explained(text) for text in reads if text.startswith(("SELECT", "WITH"))}
    return len(captured), {text[:300]: pages for text, pages in read.items() if pages > most}


RUNS = [
    "",
    "namespace=n1",
    "namespace=n150",
    "state=PENDING",
    "state=RUNNING",
    "state=CANCELLED",
    "namespace=n7&state=FAILED",
    "namespace=n7&state=RUNNING",
    "namespace=n150&state=RUNNING",
]
STATES = [f"state={state}" for state in TaskState]
TASKS = ["", "parent_id={parent}", *STATES, *(f"parent_id={{parent}}&{state}" for state in STATES)]


@pytest.mark.parametrize("query", RUNS)
def test_lists_of_runs_read_little(browser: Client, confined: Client, query: str) -> None:
    for client in (browser, confined):
        for path in (f"/conductor/runs?{query}", f"/admin/orbit/conductorrun/?{query}"):
            read = costs(client, path, 'FROM "orbit_conductorrun"', MOST_OF_RUNS)[1]
            assert read == {}, path
            assert costs(client, path)[1] == {}, path


@pytest.mark.parametrize("query", ["", "namespace=n1", "namespace=n7", "namespace=n150"])
def test_the_consoles_list_of_tasks_reads_little(
    browser: Client, confined: Client, query: str
) -> None:
    for client in (browser, confined):
        path = f"/admin/orbit/conductortask/?{query}"
        assert costs(client, path)[1] == {}, path


@pytest.mark.parametrize("query", TASKS)
def test_lists_of_tasks_read_little_on_every_page(
    browser: Client, ids: dict[str, Any], query: str
) -> None:
    for run in (ids["done"], ids["begun"]):
        path = f"/conductor/runs/{run}/tasks?limit=200&{query.format(parent=run)}"
        for _ in range(3):
            assert costs(browser, path)[1] == {}, path
            following = browser.get(path).json()["next"]
            if following is None:
                break
            path = following.partition("testserver")[2]


def test_pages_of_runs_and_tasks_read_little(browser: Client, ids: dict[str, Any]) -> None:
    for path in (
        *(f"/conductor/runs/{ids[run]}" for run in ("done", "begun")),
        *(f"/conductor/tasks/{ids[task]}" for task in ("held", "failed", "done")),
        *(f"/admin/orbit/conductorrun/{ids[run]}/change/" for run in ("done", "begun")),
        *(f"/admin/orbit/conductortask/{ids[task]}/change/" for task in ("held", "done")),
        f"/admin/orbit/conductortask/?run={ids['done']}",
    ):
        number, read = costs(browser, path)
        assert (number <= FEW_QUERIES, read) == (True, {}), path


def test_a_statement_that_reads_all_is_seen(crowded: str) -> None:
    reads_all = "SELECT count(*) FROM {} WHERE name = 'x'"
    assert explained(reads_all.format("orbit_conductortask")) > MOST_PAGES
    assert explained(reads_all.format("orbit_conductorrun")) > MOST_OF_RUNS


def test_a_prune_of_an_old_run_reads_no_more_than_its_batch(
    crowded: str, ids: dict[str, Any]
) -> None:
    run, now = ids["done"], "infinity"
    after = {"after_at": "-infinity", "after_id": ""}
    reads = {
        "next_old_run": pages_read(old_runs.NEXT_OLD_RUN, until=now, **after),
        "lock_old_run": pages_read(old_runs.LOCK_OLD_RUN, id=run, until=now),
        "begin_run": pages_read(old_runs.BEGIN_RUN, id=run),
        "prune_tasks": pages_read(old_runs.PRUNE_TASKS, run=run, below="~", limit=10),
    }
    assert {name: read for name, read in reads.items() if read > MOST_PAGES} == {}
