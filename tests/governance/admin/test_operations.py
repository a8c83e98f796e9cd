"""Operation runs in the console."""

from datetime import timedelta
from uuid import UUID

import pytest

from governance.kernel import clock
from governance.models import OperationRun, OperationRunItem
from governance.namespaces import registry
from governance.operations import ledger, periodic
from governance.operations import page as reading
from governance.operations.periodic import Work
from governance.states import Every, Outcome
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db
LIST = "/admin/governance/operationrun/"


def create_run() -> OperationRun:
    registry.ensure(["a", "b"])
    operation, _ = ledger.ensure_run_with_identity("a", "dlq.bulk_requeue", {}, initiator="ann")
    ledger.save_progress(
        operation,
        {"total": 1200, "processed": 300, "note": "waiting for halted namespaces: a"},
        wait=0,
    )
    OperationRunItem.objects.create(
        run=operation, object_id=UUID(int=5), outcome="skipped", detail="already requeued"
    )
    return operation


def test_a_run_shows_its_progress_and_the_outcome_of_its_objects() -> None:
    operation = create_run()
    browser = console(create_user("vic", "Viewer"))
    for page in (browser.get(LIST), browser.get(f"{LIST}{operation.pk}/change/")):
        text = page.content.decode()
        assert (
            '<progress max="1200" value="300" aria-label="progress"></progress> 300 of 1,200'
            in text
        )
        assert "waiting for halted namespaces: a" in text
        assert "/cancel/" not in text
    assert f"?run__id__exact={operation.pk}&amp;_export=csv" in text
    items = browser.get(
        f"/admin/governance/operationrunitem/?run__id__exact={operation.pk}"
    ).content.decode()
    assert str(UUID(int=5)) in items
    assert "already requeued" in items


def test_an_operator_cancels_an_active_run_with_a_reason() -> None:
    operation = create_run()
    browser = console(create_user())
    assert (
        f"{LIST}{operation.pk}/cancel/"
        in browser.get(f"{LIST}{operation.pk}/change/").content.decode()
    )
    browser.post(f"{LIST}{operation.pk}/cancel/", {"reason": "enough"})
    operation.refresh_from_db()
    assert (operation.outcome, operation.cancel_requested_by) == ("cancelled", "ann")
    assert (
        f"{LIST}{operation.pk}/cancel/"
        not in browser.get(f"{LIST}{operation.pk}/change/").content.decode()
    )


def test_a_user_of_another_namespace_sees_neither_run_nor_items() -> None:
    operation = create_run()
    browser = console(create_user("bea", "Operator", "b"))
    assert str(operation.pk) not in browser.get(LIST).content.decode()
    assert browser.get(f"{LIST}{operation.pk}/cancel/").status_code == 404
    assert (
        str(UUID(int=5))
        not in browser.get(
            f"/admin/governance/operationrunitem/?run__id__exact={operation.pk}"
        ).content.decode()
    )


def test_periodic_work_is_above_the_runs_and_skipped_ones_are_found() -> None:
    work = Work("ops.test", Every.HOUR, lambda slice_: None)
    [run] = periodic.start_due([work], wake=lambda run: None)
    operation = OperationRun.objects.get(pk=run)
    ledger.save_progress(operation, {"total": 9, "processed": 4}, wait=0)
    ledger.complete(operation, Outcome.SKIPPED, {}, progress={"total": 9, "processed": 4})
    browser = console(create_user("vic", "Viewer"))
    page = browser.get(LIST).content.decode()
    top = page[page.index('aria-label="Periodic work"') :]
    top = top[: top.index("</table>")]
    for shown in ("ops.test", "hour", "4 of 9", "skipped", f"{LIST}{run}/change/"):
        assert shown in top
    for query, count in (("outcome=skipped", 1), ("outcome=failed", 0), ("", 0), (f"q={run}", 1)):
        runs = browser.get(f"{LIST}?{query}").context["cl"].result_list
        assert len(runs) == count, query
    confined = console(create_user("bea", "Operator", "b"))
    assert "Periodic work" not in confined.get(LIST).content.decode()


def test_operations_are_in_the_menu_under_monitoring_also_for_confined_users() -> None:
    for browser in (
        console(create_user("vic", "Viewer")),
        console(create_user("bea", "Viewer", "b")),
    ):
        places = {
            place.title: place.url
            for group in browser.get("/admin/").context["frame"].places
            if group.name == "Monitoring"
            for place in group.places
        }
        assert places["Operations"] == LIST
        assert places["Conductor"] == "/admin/orbit/conductorrun/"


def test_the_page_of_a_run_has_its_counts_its_pace_and_what_failed() -> None:
    operation = create_run()
    OperationRun.objects.filter(pk=operation.pk).update(
        status="running", started_at=clock.read() - timedelta(seconds=1000)
    )
    for number in range(25):
        OperationRunItem.objects.create(
            run=operation,
            object_id=UUID(int=100 + number),
            outcome="failed",
            detail="endpoint gone",
        )
    operation.refresh_from_db()
    page = reading.read(operation)
    assert dict(page.counts)["total"] == 1200
    assert page.rate == pytest.approx(0.3, rel=0.1)
    assert page.seconds_left == pytest.approx(3000, rel=0.1)
    assert len(page.failures) == 20
    text = console(create_user("vic", "Viewer")).get(f"{LIST}{operation.pk}/change/")
    assert "endpoint gone" in text.content.decode()
    assert "&amp;outcome=failed&amp;_export=csv" in text.content.decode()


def test_runs_are_narrowed_to_those_that_touch_a_namespace() -> None:
    operation = create_run()
    browser = console(create_user("vic", "Viewer"))
    assert str(operation.pk) in browser.get(f"{LIST}?namespace=a").content.decode()
    assert str(operation.pk) not in browser.get(f"{LIST}?namespace=b").content.decode()
