"""Proposals that end without a decision."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from advisory.decisions import expiry
from advisory.decisions.expiry import Superseding
from advisory.models import StrategyProposal
from governance.kernel import clock
from governance.models import AuditTrailEntry
from orbit.profiles import revisions
from tests.support.approved import pending, supersede_outdated
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configuration(db: None) -> None:
    store_profiles([profile()], [run_profile()])


def expiring(seconds: float, **values: Any) -> StrategyProposal:
    return pending(expires_at=clock.read() + timedelta(seconds=seconds), **values)


def states() -> list[str]:
    return list(StrategyProposal.objects.order_by("id").values_list("state", flat=True))


def test_a_proposal_whose_time_is_over_expires_and_the_trail_says_so() -> None:
    late, _, _ = expiring(-3600), expiring(3600), pending()
    assert [expiry.expire_due(), expiry.expire_due()] == [1, 0]
    assert states() == ["expired", "pending", "pending"]
    late.refresh_from_db()
    assert late.end_reason == "The time to decide it was over, and that means no."
    entry = AuditTrailEntry.objects.order_by("-id")[0]
    assert (entry.action, entry.actor, entry.object_id) == (
        "proposal.ended",
        "orbit",
        str(late.pk),
    )
    assert (entry.before, entry.after) == ({"state": "pending"}, {"state": "expired"})
    assert (entry.namespace, entry.reason) == ("eu", late.end_reason)


def test_a_pass_expires_a_bounded_number() -> None:
    for _ in range(3):
        expiring(-3600)
    assert [expiry.expire_due(limit=2) for _ in range(3)] == [2, 1, 0]


def test_a_proposal_whose_document_moved_on_is_superseded() -> None:
    store_profiles([profile("other")], [])
    pending(), pending("other"), pending(run_profile_id="daily-eu")
    store_profiles([profile(label="Newer")], [])
    assert [supersede_outdated(), supersede_outdated()] == [1, 0]
    assert states() == ["superseded", "pending", "pending"]
    assert StrategyProposal.objects.get(state="superseded").end_reason == (
        "It was made against revision 1, but revision 2 is the current one."
    )
    store_profiles([], [run_profile(asset_bundle={"a": 1})])
    assert supersede_outdated() == 1
    assert states() == ["superseded", "pending", "superseded"]
    assert AuditTrailEntry.objects.filter(action="proposal.ended").count() == 2


def test_a_proposal_of_a_hidden_or_missing_document_is_superseded() -> None:
    pending(), pending("missing"), pending(run_profile_id="missing")
    revisions.hide_others(profiles=[], run_profiles=[])
    assert supersede_outdated() == 3
    assert set(StrategyProposal.objects.values_list("end_reason", flat=True)) == {
        "Its document is no longer in the configuration."
    }


def test_passes_go_through_all_pending_proposals_and_begin_again() -> None:
    for number in range(5):
        store_profiles([profile(f"p{number}")], [])
        pending(f"p{number}")
    store_profiles([profile("p4", label="Newer")], [])
    sweep = Superseding()
    assert [sweep.end_outdated(page=2) for _ in range(3)] == [0, 0, 1]
    store_profiles([profile("p0", label="Newer")], [])
    assert sweep.end_outdated(page=2) == 1


def test_a_page_with_more_than_the_limit_is_looked_at_again() -> None:
    for _ in range(5):
        pending()
    store_profiles([profile(label="Newer")], [])
    sweep = Superseding()
    assert [sweep.end_outdated(page=4, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_a_pass_reads_no_proposal_that_has_ended() -> None:
    pending()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO advisory_strategyproposal
                (id, profile_id, base_revision, patch, title, rationale, evidence, rule, author,
                 requested_by, state, fingerprint, required_approvals, end_reason, expires_at)
            SELECT gen_random_uuid(), 'daily', 1, '[]', '', '', '{}', '', 'x',
                   '', 'pending', n::text, 1, '', now() - interval '1 day'
            FROM generate_series(1, 5000) n;
            UPDATE advisory_strategyproposal SET state = 'expired', ended_at = now()
            WHERE expires_at IS NOT NULL;
            ANALYZE advisory_strategyproposal;
            """
        )
    for statement, values in (
        (expiry.EXPIRE, {"most": 100, "reason": ""}),
        (expiry.SUPERSEDE, {"after": UUID(int=0), "page": 1000, "most": 100}),
    ):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statement.text}", values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on advisory_strategyproposal" not in plan
