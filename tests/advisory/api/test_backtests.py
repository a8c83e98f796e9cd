"""GET /strategy-proposals/{proposal_id}/backtest."""

from typing import Any

import pytest

from tests.support.backtests import propose
from tests.support.callers import api, create_user, problem
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("committed")


def test_a_reviewer_reads_it_within_their_namespaces(settings: Any) -> None:
    with Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(r1={"namespace": "a"}, r2={"namespace": "b"})
        cycles = [str(run_cycle(start_cycle(name)).pk) for name in ("r1", "r2")]
    proposal = propose(("replace", "/state", "disabled"))
    address = f"/strategy-proposals/{proposal.pk}/backtest"
    answer = api(create_user("vic", "Viewer")).get(address).json()
    assert {key: answer[key] for key in ("id", "profile_id", "run_profile_id", "author")} == {
        "id": str(proposal.pk),
        "profile_id": "p1",
        "run_profile_id": None,
        "author": "ann",
    }
    assert answer["state"] == "pending"
    assert answer["patch"] == [{"op": "replace", "path": "/state", "value": "disabled"}]
    assert answer["cycles"]["different"] == 2
    assert [cycle["cycle_run_id"] for cycle in answer["differing"]] == cycles[::-1]
    assert answer["figures"]["deliveries"] == {"before": 6, "least": 0, "most": 0}

    one = api(create_user("ben", "Viewer")).get(f"{address}?cycles=1").json()
    assert (one["most"], one["cycles"]["read"]) == (1, 1)
    again = api(create_user("cai", "Viewer")).get(f"{address}?until={answer['until']}").json()
    assert again == answer

    confined = create_user("eva", "Viewer", "a")
    own = api(confined).get(address).json()
    assert [cycle["cycle_run_id"] for cycle in own["differing"]] == cycles[:1]
    assert own["cycles"]["hidden"] is True
    assert cycles[1] not in str(own)
    other = create_user("eve", "Viewer", "b")
    problem(api(other).get(address), 404, "unknown_proposal")
    for query in (
        "cycles=0",
        "cycles=1001",
        "cycles=x",
        "until=today",
        "until=2026-01-01T00:00:00",
    ):
        problem(api(confined).get(f"{address}?{query}"), 400, "invalid_parameter")
