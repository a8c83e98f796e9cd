"""An answer about what retention has deleted says so; nothing ends in a 500."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from governance.access.actors import SYSTEM
from governance.audit import verify
from governance.kernel import ulid
from governance.models import AuditTrailEntry, OperationRun
from orbit.models import RetentionMark
from orbit.records import pruned
from orbit.schedules import explain
from tests.support import callers, old_rows
from tests.support.old_rows import write
from tests.support.pipeline import configure_endpoints, configure_profiles, rows

pytestmark = pytest.mark.django_db

OLD_CYCLE = UUID("018cc251-f400-7000-8000-000000000000")  # of 2024-01-01
OLD_RUN = "01HK153X00" + "0" * 16  # of 2024-01-01
SAID = "2026-01-31 02:00 UTC are deleted unless something refers to them, the last time at"


@pytest.fixture
def _marked() -> None:
    for kind in ("cycles", "conductor_runs", "cron_ticks"):
        RetentionMark.objects.create(
            kind=kind,
            pruned_to=datetime(2026, 1, 31, 2, tzinfo=UTC),
            pruned_at=datetime(2026, 5, 1, 2, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    "path",
    [
        f"/cycles/{OLD_CYCLE}",
        f"/dead-letters/{OLD_CYCLE}",
        f"/conductor/runs/{OLD_RUN}",
        f"/conductor/runs/{OLD_RUN}/tasks",
        f"/conductor/tasks/{OLD_RUN}",
    ],
)
@pytest.mark.usefixtures("_marked")
def test_a_404_says_up_to_when_retention_has_deleted(path: str) -> None:
    body = callers.api(callers.create_user()).get(path)
    assert (body.status_code, SAID in body.json()["detail"]) == (404, True)


@pytest.mark.usefixtures("_marked")
def test_a_404_of_what_is_newer_says_nothing_of_retention() -> None:
    body = (
        callers.api(callers.create_user())
        .get("/cycles/01a226b3-81a8-73be-992c-0cd28b8c98a9")
        .json()
    )
    assert body["detail"] == "There is no cycle 01a226b3-81a8-73be-992c-0cd28b8c98a9."


@pytest.mark.parametrize(
    ("model", "id_"),
    [("cyclerun", OLD_CYCLE), ("conductorrun", OLD_RUN), ("conductortask", OLD_RUN)],
)
@pytest.mark.usefixtures("_marked")
def test_a_page_of_what_is_gone_says_so(model: str, id_: Any) -> None:
    browser = callers.console(callers.create_user("ann"))
    page = browser.get(reverse(f"admin:orbit_{model}_change", args=[id_]))
    assert (page.status_code, SAID in page.content.decode()) == (404, True)


@pytest.mark.parametrize(("model", "id_"), [("cyclerun", OLD_CYCLE), ("conductorrun", OLD_RUN)])
@pytest.mark.usefixtures("_marked")
def test_a_search_for_what_is_gone_says_so(model: str, id_: Any) -> None:
    browser = callers.console(callers.create_user("ann"))
    page = browser.get(reverse(f"admin:orbit_{model}_changelist"), {"q": str(id_)})
    assert (page.status_code, SAID in page.content.decode()) == (200, True)


def test_why_does_not_guess_about_ticks_that_are_gone() -> None:
    configure_profiles(r1={"namespace": "a", "execution_policy": {"cron": "0 6 * * *"}})
    # Its revision is of today, so the day asked about is tomorrow.
    at = datetime.now(UTC).replace(hour=6, minute=0, second=0) + timedelta(days=1)
    now = at + timedelta(days=100)

    def sentence() -> str:
        return explain.explain("r1", at, actor=SYSTEM, now=now).sentence

    assert "but was created or switched on after that" in sentence()
    RetentionMark.objects.create(kind="cron_ticks", pruned_to=now, pruned_at=now)
    assert "isn't known any more whether it ran" in sentence()


def test_ids_of_other_kinds_have_no_time() -> None:
    assert pruned.time_of(UUID("c56a4180-65aa-42ec-a945-5fd21dec0538")) is None
    assert pruned.time_of(OLD_CYCLE) == datetime(2024, 1, 1, tzinfo=UTC)
    assert ulid.moment_of(OLD_RUN) == datetime(2024, 1, 1, tzinfo=UTC)
    assert ulid.moment_of(OLD_RUN[:-1]) is None
    assert ulid.moment_of("7" + "Z" * 25) is None
    assert ulid.moment_of("U" * 26) is None


def test_audit_and_ledger_stay_and_their_pages_open(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})
    old_rows.old_cycles(1)
    ((cycle,),) = rows("SELECT id FROM orbit_cyclerun")
    write(
        "INSERT INTO orbit_valueledgerentry (id, cycle_id, namespace, kind, tag, quantity, unit)"
        " VALUES (gen_random_uuid(), %s, 'a', 'usage', 't', 1, 'cycle')",
        cycle,
    )
    browser: Client = callers.console(callers.create_user("adm", "Administrator"))
    back = {"reason": "gone", "_confirm": "1"}
    old_rows.prune()
    assert rows("SELECT count(*) FROM orbit_cyclerun") == [(0,)]
    assert rows("SELECT count(*) FROM orbit_valueledgerentry") == [(1,)]
    for name in ("valueledgerentry", "cyclerun", "deadletterdispatch", "dispatchjob"):
        assert browser.get(reverse(f"admin:orbit_{name}_changelist")).status_code == 200
        gone = reverse(f"admin:orbit_{name}_change", args=[cycle])
        assert browser.get(gone).status_code in {302, 404}
    assert (
        browser.post(
            reverse("admin:orbit_deadletterdispatch_requeue", args=[cycle]), back
        ).status_code
        == 404
    )
    assert browser.get(reverse("admin:governance_audittrailentry_changelist")).status_code == 200


def test_the_record_of_a_prune_is_on_the_chain_and_has_a_page(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})
    old_rows.old_cycles(2)
    call_command("prune")
    entry = AuditTrailEntry.objects.get(action="retention.pruned")
    assert entry.after["deleted"]["cycles"] == 2
    run = OperationRun.objects.get(type="ops.prune")
    assert run.summary_counts["deleted"] == sum(entry.after["deleted"].values())
    assert verify.walk()[0] >= 1
    browser = callers.console(callers.create_user("adm", "Administrator"))
    for model, key in (("audittrailentry", entry.pk), ("operationrun", run.pk)):
        page = browser.get(reverse(f"admin:governance_{model}_change", args=[key]))
        assert (page.status_code, b"pruned" in page.content or b"ops.prune" in page.content) == (
            200,
            True,
        )
