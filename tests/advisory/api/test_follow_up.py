"""What followed a proposal, in the API."""

from datetime import timedelta
from typing import Any

import pytest

from advisory.decisions import probation_end, track_record
from advisory.models import StrategyProposal, TrackRecord
from governance.kernel import clock
from tests.support.approved import approve, ended_cycle, on_probation, pending
from tests.support.callers import Api, api, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(db: None) -> Api:
    store_profiles([profile()], [run_profile()])
    return api(create_user("rae", "Reviewer"), "read", "review")


def confirm(client: Api, proposal: StrategyProposal, **body: Any) -> Any:
    return client.post(f"/strategy-proposals/{proposal.pk}/confirm", {"reason": "good", **body})


def test_a_reviewer_confirms_and_the_answer_is_the_proposal(reviewer: Api) -> None:
    until = clock.read() + timedelta(days=2)
    proposal = on_probation(pending(), profile(label="Better"), cycles=3, until=until)
    ended_cycle(finished_at=clock.read())
    before = reviewer.get(f"/strategy-proposals/{proposal.pk}").json()["probation"]
    assert (before["status"], before["cycles"], before["cycles_ended"]) == ("running", 3, 1)
    assert (before["applied_revision"], before["fallback_revision"]) == (2, 1)
    answer = confirm(reviewer, proposal)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["state"]) == (str(proposal.pk), "approved")
    after = body["probation"]
    assert (after["status"], after["ended_by"], after["end_reason"]) == ("confirmed", "rae", "good")


def test_the_refusals_have_their_codes(reviewer: Api) -> None:
    mine = on_probation(pending(author="rae", rule=""), profile(label="Better"), cycles=3)
    problem(confirm(reviewer, mine), 403, "own_proposal")
    problem(confirm(reviewer, pending(base=2)), 409, "no_probation")
    store_profiles([profile("late")], [])
    until = clock.read() - timedelta(hours=1)
    late = on_probation(pending("late"), profile("late", label="Better"), until=until)
    assert probation_end.end_due() == 1
    problem(confirm(reviewer, late), 409, "probation_over")
    problem(confirm(reviewer, late, reason=" "), 422, "invalid_body")


def test_a_new_proposal_shows_how_often_the_engine_was_right(reviewer: Api) -> None:
    old = approve(pending(forecast={"hope": "much"}), profile(label="Better"))
    track_record.start(old)
    TrackRecord.objects.update(status="came_true", ended_at=clock.read(), reason="It came true.")
    body = reviewer.get(f"/strategy-proposals/{pending(base=2, rule='new').pk}").json()
    assert body["track_record"]["engine"]["came_true"] == 1
    assert body["track_record"]["rule"]["came_true"] == 0
    assert body["track_record"]["rule"]["rule"] == "new"
    assert not {"probation", "forecast_outcome"} & body.keys()
    body = reviewer.get(f"/strategy-proposals/{old.pk}").json()
    assert body["forecast_outcome"]["status"] == "came_true"
    assert body["forecast_outcome"]["reason"] == "It came true."


def test_of_a_users_proposal_only_the_engine_has_a_track_record(reviewer: Api) -> None:
    body = reviewer.get(f"/strategy-proposals/{pending(rule='', author='ann').pk}").json()
    assert body["track_record"]["rule"] is None
