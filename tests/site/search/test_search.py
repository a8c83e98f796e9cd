"""Search: any id, hash, key or error text; an exact hit opens; the rest says what it did not do."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import AuditTrailEntry, Namespace, OperationRun
from governance.namespaces import registry
from orbit.dispatch import dead_letters
from orbit.models import (
    ConductorRun,
    CycleRun,
    DeadLetterDispatch,
    DispatchJob,
    NormalizationItem,
    RetentionMark,
)
from orbit_site.search import find
from tests.support.callers import actor_of, console, create_user
from tests.support.dead_letters import create_dead_letters
from tests.support.objects import create_objects

pytestmark = pytest.mark.django_db


@pytest.fixture
def objects(settings: Any) -> dict[str, Any]:
    return create_objects(settings)


def search(term: str, *, by: Any = None) -> Any:
    return console(by or create_user()).get("/admin/search/", {"q": term})


def opened(term: object) -> str:
    answer = search(str(term), by=create_user(f"user-{abs(hash(term))}"))
    assert answer.status_code == 302, (term, answer.context["result"])
    return str(answer["Location"])


def test_an_exact_hit_of_one_object_opens_it(objects: dict[str, Any]) -> None:
    letter = DeadLetterDispatch.objects.get(pk=objects["letter_id"])
    entry = AuditTrailEntry.objects.order_by("id")[0]
    run = ConductorRun.objects.get()
    for term, page in (
        (objects["cycle_id"], f"orbit/cyclerun/{objects['cycle_id']}/"),
        (objects["cycle_id"].replace("-", ""), f"orbit/cyclerun/{objects['cycle_id']}/"),
        (f"  {objects['cycle_id'].upper()}\n", f"orbit/cyclerun/{objects['cycle_id']}/"),
        (letter.job.delivery_id, f"orbit/dispatchjob/{letter.job_id}/"),
        (objects["proposal_id"], f"advisory/strategyproposal/{objects['proposal_id']}/"),
        (objects["alert_id"], "/admin/alerts/"),
        (run.pk, f"orbit/conductorrun/{run.pk}/"),
        (run.pk.lower(), f"orbit/conductorrun/{run.pk}/"),
        (objects["conductor_task_id"], f"orbit/conductortask/{objects['conductor_task_id']}/"),
        (entry.hash, f"governance/audittrailentry/{entry.pk}/"),
        (entry.pk, f"governance/audittrailentry/{entry.pk}/"),
        ("r1", "orbit/runprofile/"),
        ("p1", "orbit/profile/"),
        ("stopped", "governance/namespace/"),
        ("default-endpoint", "orbit/endpoints/default-endpoint/"),
        ("cycles", "orbit/schedules/?q=cycles"),
    ):
        assert page in opened(term), term


def test_every_object_of_a_dead_letter_is_found_by_its_id(objects: dict[str, Any]) -> None:
    letter = DeadLetterDispatch.objects.get(pk=objects["letter_id"])
    item, user = letter.job.normalization_item, actor_of(create_user())
    for object_, page in (
        (letter.cycle, "orbit/cyclerun"),
        (letter.job, "orbit/dispatchjob"),
        (letter, "orbit/deadletterdispatch"),
        (item, "orbit/normalizationitem"),
        (item.transformation, "orbit/transformation"),
        (item.transformation.initiation, "orbit/initiation"),
    ):
        hits = find.find(str(object_.pk), user).groups.values()
        assert f"/admin/{page}/{object_.pk}/change/" in {hit.url for group in hits for hit in group}


def test_a_delivery_id_finds_the_requeued_copy_too(settings: Any, objects: dict[str, Any]) -> None:
    user = create_user()
    letter = DeadLetterDispatch.objects.get(pk=objects["letter_id"])
    dead_letters.requeue(letter.pk, actor=actor_of(user), reason="it is back")
    page = search(str(letter.job.delivery_id), by=user).content.decode()
    jobs = DispatchJob.objects.filter(delivery_id=letter.job.delivery_id)
    assert jobs.count() == 2
    assert all(f"orbit/dispatchjob/{job.pk}/change/" in page for job in jobs)


def test_a_hash_finds_the_item_and_every_delivery_of_it(objects: dict[str, Any]) -> None:
    item = NormalizationItem.objects.filter(jobs__isnull=False)[0]
    result = find.find(item.sha256, actor_of(create_user()))
    assert set(result.groups) == {"Items", "Deliveries"}
    assert result.only == ""


def test_the_beginning_of_an_id_lists_what_fits(objects: dict[str, Any]) -> None:
    cycle = CycleRun.objects.order_by("-id")[0]
    for beginning in (str(cycle.pk)[:13], str(cycle.pk)[:8], cycle.pk.hex[:10]):
        page = search(beginning, by=create_user(f"u{len(beginning)}{beginning[-1]}"))
        assert f"orbit/cyclerun/{cycle.pk}/change/" in page.content.decode(), beginning


def test_the_text_of_an_error_finds_its_groups(settings: Any, objects: dict[str, Any]) -> None:
    create_dead_letters(3, error="the certificate has expired")
    page = search("certificate has exp").content.decode()
    assert "Groups of dead letters" in page
    assert "3 at default-endpoint" in page
    assert "Not searched" in page


@pytest.mark.parametrize("term", ["100%", "a_b", "\\", "%%%", "' OR 1=1 --", "<script>alert(1)"])
def test_signs_of_patterns_are_only_signs(objects: dict[str, Any], term: str) -> None:
    page = search(term)
    assert page.status_code == 200
    assert "Nothing found" in page.content.decode()
    assert "<script>alert" not in page.content.decode()


@pytest.mark.parametrize(
    "term", ["x" * 10_000, "0" * 10_000, "\x00", "\ud800\udc00" * 500, "9" * 30, "-" * 40, "0" * 63]
)
def test_any_input_gets_an_answer(objects: dict[str, Any], term: str) -> None:
    text = term.encode("utf-16", "surrogatepass").decode("utf-16")
    # NUL is refused on every page.
    assert search(text).status_code == (400 if text == "\x00" else 200)


def test_nothing_found_says_so_and_a_pruned_id_too() -> None:
    page = search("01a22770-2e05-7154-a584-c22369a2024e").content.decode()
    assert "No object that you may see" in page
    RetentionMark.objects.create(
        kind="cycles", pruned_to="2099-01-01T00:00Z", pruned_at="2099-01-02T00:00Z"
    )
    page = search("01a22770-2e05-7154-a584-c22369a2024e", by=create_user("bob")).content.decode()
    assert "are deleted" in page


def test_a_confined_user_finds_nothing_of_others(settings: Any, objects: dict[str, Any]) -> None:
    eve = create_user("eve", "Administrator", "elsewhere")
    letter = DeadLetterDispatch.objects.get(pk=objects["letter_id"])
    entry = AuditTrailEntry.objects.filter(namespace="a")[0]
    run = OperationRun.objects.first()
    for term in (
        letter.pk,
        letter.cycle_id,
        letter.job_id,
        letter.job.delivery_id,
        letter.job.normalization_item.sha256,
        letter.last_error,
        entry.pk,
        entry.hash,
        objects["conductor_run_id"],
        objects["conductor_task_id"],
        objects["alert_id"],
        objects["proposal_id"],
        "r1",
        "a",
        "default-endpoint",
        "cycles",
        Namespace.objects.get(name="a").external_id,
        *([] if run is None else [run.pk]),
    ):
        assert find.find(str(term), actor_of(eve)).count == 0, term


@pytest.mark.parametrize("term", ["deadbeef", "0123456789abcdef" * 4, "503", "HTTP 503", "abcdef"])
def test_a_search_has_a_bounded_number_of_queries(objects: dict[str, Any], term: str) -> None:
    browser = console(create_user())
    browser.get("/admin/search/")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        browser.get("/admin/search/", {"q": term})
    assert len(queries) <= 30


def test_an_empty_search_asks() -> None:
    registry.ensure(["a"])
    page = search("").content.decode()
    assert "By id or its beginning" in page
    assert "Not searched" not in page
