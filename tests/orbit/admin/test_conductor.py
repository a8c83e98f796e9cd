"""Runs and tasks of the conductor in the console."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import AuditTrailEntry
from governance.namespaces import halts
from orbit.conductor import fenced, leases, tree, work
from orbit.conductor.fenced import Held
from orbit.errors import LeaseLost
from orbit.models import ConductorParent, ConductorTask
from tests.support import conductor_rows
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db

LIST, TASKS = "/admin/orbit/conductorrun/", "/admin/orbit/conductortask/"
HOSTILE = "<script>alert(1)</script>"
FEW_QUERIES, FEW_BYTES = 30, 300 * 1024


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return re.sub(r"\s+", " ", answer.content.decode())


def verdict(page: str) -> str:
    found = re.search(r'<p id="verdict">(.*?)</p>', page)
    assert found is not None
    return found[1]


def viewer(*namespaces: str) -> Any:
    return console(create_user("vic", "Viewer", *namespaces))


def test_the_list_shows_counts_as_a_bar_and_in_words_with_the_tallies_that_wait() -> None:
    run = conductor_rows.run()
    conductor_rows.parent(run, 2, children=10, failed=(3,), pending=4)
    # The trigger notes the change; aggregate has not added it up yet.
    ConductorTask.objects.filter(run=run, index=1, parent__isnull=False).update(state="CANCELLED")
    page = text(viewer().get(LIST))
    assert "1 failed, 1 running, 3 pending, 1 cancelled, 5 succeeded" in page
    assert '<rect class="failed"' in page
    assert "running</span>" in page
    assert "style=" not in page[page.index("<svg viewBox") : page.index("</svg>")]


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", "AB"), ("?state=SUCCEEDED", "B"), ("?state=FAILED", ""), ("?namespace=us", "B")],
)
def test_the_list_is_filtered_by_state_and_namespace(query: str, shown: str) -> None:
    conductor_rows.run(1, name="run-A")
    conductor_rows.run(2, name="run-B", namespace="us", state="SUCCEEDED", finished_at=clock.read())
    page = text(viewer().get(LIST + query))
    assert {name for name in "AB" if f"run-{name}" in page} == set(shown)


def test_a_run_says_first_how_it_stands_and_shows_what_failed_before_the_rest() -> None:
    run = conductor_rows.run(name="nightly")
    root = conductor_rows.parent(run, 2, name="P", children=10, failed=(3, 7), pending=4)
    page = text(viewer().get(f"{LIST}{run.pk}/change/"))
    assert verdict(page) == (
        "Running: 4 of 11 tasks succeeded, 2 failed, 1 running, 4 pending; P#3 says: child 3 broke."
    )
    assert page.index("child 3 broke", page.index("Failed tasks")) < page.index(">Roots<")
    assert f'href="{TASKS}{root.pk}/change/"' in page
    assert "Children of P" in page
    assert f'?session_id__exact={run.pk}">Events' in page


def test_a_running_tasks_worker_and_lease_are_shown_and_a_lease_that_is_over_says_so() -> None:
    run = conductor_rows.run()
    now = clock.read()
    for number, until in ((2, now + timedelta(hours=1)), (3, now - timedelta(hours=1))):
        conductor_rows.task(
            run,
            number,
            index=number - 1,
            state="RUNNING",
            attempt=1,
            worker=f"w{number}",
            lease_token=uuid4(),
            lease_expires_at=until,
        )
    browser = viewer()
    page = text(browser.get(f"{LIST}{run.pk}/change/"))
    held = page[page.index("In the hands of workers") : page.index(">Roots<")]
    assert held.index("w3") < held.index("expired") < held.index("w2")
    task = text(browser.get(f"{TASKS}{conductor_rows.ulid(3)}/change/"))
    assert verdict(task) == (
        "Running: the lease of w3 is over, and another worker may take the task; attempt 1 of 1."
    )
    assert "w2 holds it" in verdict(text(browser.get(f"{TASKS}{conductor_rows.ulid(2)}/change/")))


def test_ten_thousand_children_are_a_hundred_squares_that_show_the_worst_state() -> None:
    run = conductor_rows.run()
    root = conductor_rows.parent(run, 2, children=10_000, failed=(4321,), retrying=(4322, 9999))
    browser = viewer()
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(f"{TASKS}{root.pk}/change/")
    page = text(answer)
    assert len(queries) <= FEW_QUERIES
    assert len(answer.content) <= FEW_BYTES
    density = page[page.index('<ol class="density"') : page.index("</ol>")]
    assert density.count("<g class=") == 100
    assert density.count('<g class="failed"') == density.count('<g class="retrying"') == 1
    assert "4,301 to 4,400: 1 failed, 1 to be tried again, 98 succeeded" in density
    assert density.count("<li>") == 5
    assert "all 2,000 succeeded" in density
    assert "Each square stands for 100 tasks" in page
    assert "style=" not in density
    assert page.index("child 4321 broke") < page.index('<ol class="density"')
    # The run's page opens it too.
    assert "4,301 to 4,400: 1 failed" in text(browser.get(f"{LIST}{run.pk}/change/"))


def test_a_page_of_squares_and_of_children_begins_where_the_address_says() -> None:
    run = conductor_rows.run()
    root = conductor_rows.parent(run, 2, name="P", children=40_120)
    browser = viewer()
    first = text(browser.get(f"{TASKS}{root.pk}/change/"))
    assert first.count("<g class=") == 401  # 400, and one in the legend
    assert "?at=40001#children" in first
    last = text(browser.get(f"{TASKS}{root.pk}/change/?at=40101"))
    assert "These are 40,001 to 40,120 of 40,120" in last
    assert ">P#40120<" in last
    assert ">P#40100<" not in last
    assert "?at=40051#children" in last
    for wrong in ("0", "-1", "x", "9" * 30, "99999999999", "٣"):
        assert "Children" in text(browser.get(f"{TASKS}{root.pk}/change/", {"at": wrong}))
        text(browser.get(f"{TASKS}{root.pk}/change/", {"failed_after": wrong}))


def test_failed_children_are_paged_by_their_number() -> None:
    run = conductor_rows.run()
    root = conductor_rows.parent(run, 2, name="P", children=120, failed=tuple(range(1, 103)))
    browser = viewer()
    page = text(browser.get(f"{TASKS}{root.pk}/change/"))
    assert "?failed_after=10#failed" in page
    page = text(browser.get(f"{TASKS}{root.pk}/change/?failed_after=100"))
    failed = page[page.index("Failed children") : page.index('<ol class="density"')]
    assert re.findall(r"child (\d+) broke", failed) == ["101", "102"]


def test_a_task_shows_input_output_error_parent_and_events_as_text() -> None:
    run = conductor_rows.run(name=HOSTILE)
    root = conductor_rows.parent(run, 2, name=HOSTILE, children=2, failed=(1,))
    child = ConductorTask.objects.get(parent=root, index=1)
    ConductorTask.objects.filter(pk=child.pk).update(
        input={"a": HOSTILE}, output={"b": HOSTILE}, error=HOSTILE, worker=HOSTILE
    )
    browser = viewer()
    for path in (LIST, f"{LIST}{run.pk}/change/", f"{TASKS}{root.pk}/change/"):
        page = text(browser.get(path))
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)" in page
    page = text(browser.get(f"{TASKS}{child.pk}/change/"))
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)") >= 6
    assert f'href="{TASKS}{root.pk}/change/"' in page
    assert f"?task_id__exact={child.pk}" in page
    assert verdict(page).startswith("Failed: &lt;script&gt;")


def test_only_a_page_of_what_can_still_change_is_refreshed() -> None:
    open_run, ended = (
        conductor_rows.run(),
        conductor_rows.run(3, state="SUCCEEDED", open_roots=0, finished_at=clock.read()),
    )
    conductor_rows.task(open_run, 4, state="FAILED", ready=True, attempt=1, max_attempts=2)
    conductor_rows.task(ended, 5, state="SUCCEEDED")
    browser = viewer()
    for page, refreshed in (
        (f"{LIST}{open_run.pk}", True),
        (f"{LIST}{ended.pk}", False),
        (f"{TASKS}{conductor_rows.ulid(4)}", True),
        (f"{TASKS}{conductor_rows.ulid(5)}", False),
    ):
        assert ("data-every" in text(browser.get(f"{page}/change/"))) is refreshed


def test_a_parent_that_is_being_fanned_out_says_how_far() -> None:
    run = conductor_rows.run()
    root = conductor_rows.parent(run, 2, name="P", children=300, pending=300)
    ConductorParent.objects.filter(task=root).update(fanout=1_000_000, is_fanned_out=False)
    browser = viewer()
    words = "300 of 1,000,000 children of P are made so far"
    assert words in verdict(text(browser.get(f"{TASKS}{root.pk}/change/")))
    assert words in verdict(text(browser.get(f"{LIST}{run.pk}/change/")))


def test_a_halt_is_named_as_the_reason_why_nothing_is_handed_out() -> None:
    run = conductor_rows.run()
    conductor_rows.task(run, 2, ready=True)
    halts.halt("eu", actor=SYSTEM, reason="a flood")
    browser = viewer()
    assert "a flood" in verdict(text(browser.get(f"{LIST}{run.pk}/change/")))
    assert "a flood" in verdict(text(browser.get(f"{TASKS}{conductor_rows.ulid(2)}/change/")))


def test_users_who_are_confined_elsewhere_get_404_and_empty_lists() -> None:
    run = conductor_rows.run(name="secret-run")
    task = conductor_rows.task(run, 2, name="secret-task")
    browser = viewer("us")
    for path in (f"{LIST}{run.pk}/change/", f"{TASKS}{task.pk}/change/"):
        assert browser.get(path).status_code == 404
    for path in (LIST, TASKS, f"{TASKS}?run={run.pk}"):
        assert "secret" not in text(browser.get(path))


def test_tasks_by_namespace_are_the_newest_of_the_newest_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "NEWEST_RUNS", 2)
    monkeypatch.setattr(tree, "LISTED", 2)
    for number, namespace in ((10, "eu"), (20, "us"), (30, "eu"), (40, "eu")):
        run = conductor_rows.run(number, namespace=namespace)
        for index in (1, 2, 3):
            name = f"task-{number}-{index}"
            conductor_rows.task(run, number + index, index=index, name=name)

    def listed(browser: Any, query: str) -> list[str]:
        page = text(browser.get(f"{TASKS}?{query}"))
        return list(dict.fromkeys(re.findall(r"task-\d+-\d", page)))

    newest = ["task-40-3", "task-40-2", "task-30-3", "task-30-2"]
    of_us = ["task-20-3", "task-20-2"]
    everything, confined = viewer(), console(create_user("bea", "Viewer", "eu", "none"))
    assert listed(everything, "namespace=eu") == newest
    assert listed(everything, "namespace=us") == of_us
    assert len(listed(everything, "")) == 12
    assert listed(confined, "") == newest
    assert listed(confined, "namespace=us") == []
    # A run and an id lead to all of them.
    old = conductor_rows.ulid(10)
    assert listed(confined, f"run={old}") == [f"task-10-{index}" for index in (3, 2, 1)]
    assert listed(confined, f"q={conductor_rows.ulid(11)}") == ["task-10-1"]
    assert confined.get(f"{TASKS}{conductor_rows.ulid(11)}/change/").status_code == 200


def test_many_roots_are_paged_and_drawn_as_squares_too() -> None:
    run = conductor_rows.run()
    for number in range(2, 63):
        conductor_rows.task(run, number, index=number - 1, ready=True)
    page = text(viewer().get(f"{LIST}{run.pk}/change/"))
    assert "Each square is one task." in page
    assert page.count('<g class="pending"') == 62
    assert "?at=51#roots" in page


def test_a_childs_input_is_made_from_its_parents() -> None:
    run = conductor_rows.run()
    conductor_rows.parent(run, 2, children=2, input={"fanout": 2, "child": {"color": "blue"}})
    child = ConductorTask.objects.get(run=run, index=2)
    page = text(viewer().get(f"{TASKS}{child.pk}/change/"))
    assert "&quot;color&quot;: &quot;blue&quot;, &quot;index&quot;: 2" in page
    assert "Made from the input of its parent." in page


def test_a_run_is_cancelled_once_with_a_reason() -> None:
    run = conductor_rows.run(name="nightly")
    conductor_rows.task(run, 2, ready=True)
    assert "Cancel<" not in text(viewer().get(f"{LIST}{run.pk}/change/"))
    browser = console(create_user("opa", "Operator"))
    page = f"{LIST}{run.pk}/"
    assert f'href="{page}cancel/">Cancel<' in text(browser.get(f"{page}change/"))
    assert "This field is required" in text(browser.post(f"{page}cancel/", {"reason": ""}))
    answer = browser.post(f"{page}cancel/", {"reason": "wrong input"}, follow=True)
    assert "The run nightly is being cancelled." in text(answer)
    assert "Cancel<" not in text(answer)
    assert ConductorTask.objects.get(run=run).state == "CANCELLED"
    again = text(browser.post(f"{page}cancel/", {"reason": "again"}, follow=True))
    assert "is being cancelled" in again
    entries = AuditTrailEntry.objects.filter(action="conductor_run.cancelled")
    assert list(entries.values_list("actor", "reason")) == [("opa", "wrong input")]


def test_a_failed_task_is_retried_and_then_cancelled_each_with_a_reason() -> None:
    run = conductor_rows.run()
    task = conductor_rows.task(run, 2, state="FAILED", attempt=1, error="broke")
    page = f"{TASKS}{task.pk}/"
    assert "Retry<" not in text(viewer().get(f"{page}change/"))
    browser = console(create_user("opa", "Operator"))
    assert "Retry<" in text(browser.get(f"{page}change/"))
    answer = text(browser.post(f"{page}retry/", {"reason": "the disk is back"}, follow=True))
    assert "can be taken again" in answer
    assert "Retry<" not in answer
    task.refresh_from_db()
    assert (task.state, task.ready) == ("FAILED", True)
    answer = text(browser.post(f"{page}cancel/", {"reason": "not needed"}, follow=True))
    assert "is cancelled" in answer
    assert "Cancel<" not in answer
    entries = AuditTrailEntry.objects.filter(object_id=task.pk).order_by("id")
    assert list(entries.values_list("action", "reason")) == [
        ("conductor_task.retried", "the disk is back"),
        ("conductor_task.cancelled", "not needed"),
    ]


def held_task(of: Any) -> ConductorTask:
    return conductor_rows.task(
        of,
        2,
        state="RUNNING",
        attempt=1,
        max_attempts=3,
        worker="gpu-box-1",
        lease_token=uuid4(),
        lease_expires_at=clock.read() + timedelta(hours=1),
        lease_seconds=30,
    )


def test_a_task_is_taken_from_its_worker_and_a_second_click_takes_it_from_nobody() -> None:
    task = held_task(conductor_rows.run())
    page = f"{TASKS}{task.pk}/"
    assert "Release lease<" not in text(viewer().get(f"{page}change/"))
    browser = console(create_user("opa", "Operator"))
    assert f'href="{page}release/">Release lease<' in text(browser.get(f"{page}change/"))
    form = text(browser.get(f"{page}release/"))
    assert '<input type="hidden" name="attempt" value="1"' in form
    sent = {"reason": "the box burns", "attempt": "1"}
    answer = text(browser.post(f"{page}release/", sent, follow=True))
    assert "was taken from gpu-box-1" in answer
    assert "Release lease<" not in answer
    (taken,) = leases.claim(SYSTEM, "gpu-box-2", run_id=task.run_id)
    assert (taken.id, taken.attempt) == (task.pk, 2)
    again = text(browser.post(f"{page}release/", sent, follow=True))
    assert "gpu-box-2 has claimed the task" in again
    task.refresh_from_db()
    assert task.lease_token == taken.lease_token
    entries = AuditTrailEntry.objects.filter(action="conductor_task.released")
    assert list(entries.values_list("actor", "reason", "object_id")) == [
        ("opa", "the box burns", task.pk)
    ]


def test_the_worker_whose_task_was_released_learns_it_at_its_next_call() -> None:
    task = held_task(conductor_rows.run())
    work.release(task.pk, attempt=1, actor=SYSTEM, reason="r")
    (late,) = fenced.complete([Held(task.pk, task.lease_token)], [1], actor=SYSTEM)
    assert isinstance(late.error, LeaseLost)


@pytest.mark.parametrize("sent", [{}, {"attempt": "x"}, {"attempt": "-1"}, {"attempt": "9" * 30}])
def test_a_release_without_the_attempt_that_was_seen_changes_nothing(sent: dict[str, str]) -> None:
    task = held_task(conductor_rows.run())
    browser = console(create_user("opa", "Operator"))
    answer = text(browser.post(f"{TASKS}{task.pk}/release/", {"reason": "r", **sent}))
    assert 'class="errorlist' in answer
    task.refresh_from_db()
    assert task.lease_token is not None


@pytest.mark.parametrize("button", ["cancel", "retry", "release"])
def test_buttons_are_refused_to_viewers_and_hidden_from_other_namespaces_and_need_a_token(
    button: str,
) -> None:
    task = held_task(conductor_rows.run())
    page, sent = f"{TASKS}{task.pk}/{button}/", {"reason": "r", "attempt": "1"}
    assert viewer().post(page, sent).status_code == 403
    assert console(create_user("bea", "Operator", "us")).post(page, sent).status_code == 404
    browser = console(create_user("opa", "Operator"))
    browser.handler.enforce_csrf_checks = True
    assert browser.post(page, sent).status_code == 403
    task.refresh_from_db()
    assert (task.state, task.lease_token is None) == ("RUNNING", False)
    assert not AuditTrailEntry.objects.filter(object_id=task.pk).exists()


def test_ids_that_do_not_exist_are_404_whatever_they_look_like() -> None:
    browser = viewer()
    for wrong in ("x", "0" * 26, "z" * 10_000, "%3Cb%3E", "٣" * 26):
        for page in (f"{LIST}{wrong}/change/", f"{LIST}{wrong}/cancel/", f"{TASKS}{wrong}/change/"):
            assert browser.get(page).status_code == 404, page[:60]


def test_no_value_in_an_address_breaks_a_page() -> None:
    run = conductor_rows.run()
    root = conductor_rows.parent(run, 2, children=30, failed=(3,))
    run_page, task_page = f"{LIST}{run.pk}/change/", f"{TASKS}{root.pk}/change/"
    names = {
        LIST: ("q", "state", "namespace"),
        TASKS: ("q", "run"),
        run_page: ("at", "failed_after", "open"),
        task_page: ("at", "failed_after"),
    }
    browser = viewer()
    for page, name in ((page, name) for page, some in names.items() for name in some):
        for wrong in ("z" * 10_000, "9" * 10_000, HOSTILE):
            answer = browser.get(page, {name: wrong})
            assert answer.status_code in {200, 302, 400}, (page, name, wrong[:9])
            assert HOSTILE not in answer.content.decode()
