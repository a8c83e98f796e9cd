"""Operation runs in the console."""

from uuid import UUID

import pytest

from governance.models import OperationRun, OperationRunItem
from governance.namespaces import registry
from governance.operations import ledger, periodic
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
    for outcome, count in (("skipped", 1), ("failed", 0)):
        runs = browser.get(f"{LIST}?outcome={outcome}").context["cl"].result_list
        assert len(runs) == count, outcome
    confined = console(create_user("bea", "Operator", "b"))
    assert "Periodic work" not in confined.get(LIST).content.decode()


def test_operations_are_in_the_menu_under_monitoring_also_for_confined_users() -> None:
    for browser in (
        console(create_user("vic", "Viewer")),
        console(create_user("bea", "Viewer", "b")),
    ):
        groups = browser.get("/admin/").context["frame"].places
        places = {place.title: place.url for group in groups for place in group.places}
        assert places["Operations"] == LIST
        assert places["Conductor"] == "/admin/orbit/conductorrun/"
