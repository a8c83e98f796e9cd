"""Signals by REST, by command, and every night."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from advisory import tasks as advisory_tasks
from advisory.models import AdvisorySignal, StrategyProposal
from advisory.signals import compute, reading
from advisory.signals.windows import WindowInvalid
from governance.access import tokens
from governance.access.actors import SYSTEM
from governance.kernel import clock
from governance.models import OperationRun
from governance.operations import ledger, slices
from orbit import tasks
from orbit.errors import ProfileUnknown
from tests.support.callers import Api, create_user
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.cycle_events import cycles, store

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def history(settings: Any) -> None:
    settings.ORBIT_RATE_LIMIT = 1_000_000
    store_profiles(
        [profile(retry_policy={"max_attempts": 5}), profile("other")],
        [
            run_profile(),
            run_profile("daily-us", "daily", "us"),
            run_profile("o", "other", "us"),
        ],
    )
    store(
        cycles(10, 40),
        cycles(100, 0, days_ago=10),
        cycles(50, 0, namespace="us"),
        cycles(50, 0, namespace="us", days_ago=10),
    )


@pytest.fixture
def api_of() -> Callable[..., Api]:
    def make(*scopes: str, namespaces: tuple[str, ...] = ()) -> Api:
        user = create_user(f"ann-{uuid4()}", "Administrator", *namespaces)
        return Api(tokens.create(user, scopes=scopes, actor=SYSTEM)[1])

    return make


def test_rest_computes_a_list_and_shows_it_again(api_of: Callable[..., Api]) -> None:
    api = api_of("operate", "read")
    answer = api.post("/profiles/daily/signals")
    assert answer.status_code == 201, answer.content
    assert [(row["namespace"], row["signal"]) for row in answer.json()] == [
        ("eu", "low_performance"),
        ("us", "stable"),
    ]
    row = answer.json()[0]
    assert set(row) == {
        "id", "computation_id", "profile_id", "namespace", "signal", "confidence", "method",
        "window", "evidence", "recommendation", "created_at",
    }  # fmt: skip
    assert api.get(f"/signals/{row['id']}").json() == row
    assert [
        item["id"] for item in api.get("/signals?signal=low_performance").json()["results"]
    ] == [row["id"]]


def test_either_of_two_scopes_is_enough_and_no_other(api_of: Callable[..., Api]) -> None:
    assert api_of("review").post("/profiles/daily/signals").status_code == 201
    refused = api_of("read", "configure").post("/profiles/daily/signals")
    assert refused.status_code == 403
    assert "operate or review" in refused.json()["detail"]
    assert AdvisorySignal.objects.count() == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "pointer"),
    [
        ("nowhere", {}, 404, "unknown_profile", None),
        ("daily", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, 422,
         "invalid_window", "/from"),
        ("daily", {"to": "9999-01-01T00:00:00Z"}, 422, "invalid_window", "/to"),
        ("daily", {"from": "yesterday"}, 422, "invalid_body", "/from"),
        ("daily", {"since": "2026-01-02T00:00:00Z"}, 422, "invalid_body", "/since"),
        ("daily", {"from": 5}, 422, "invalid_body", "/from"),
    ],
)  # fmt: skip
def test_rest_says_what_is_wrong(
    api_of: Callable[..., Api],
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
    pointer: str | None,
) -> None:
    answer = api_of("operate").post(f"/profiles/{path}/signals", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not AdvisorySignal.objects.exists()


def test_a_window_may_be_named(api_of: Callable[..., Api]) -> None:
    now = clock.read()
    body = {
        "baseline_from": (now - timedelta(days=14)).isoformat(),
        "from": (now - timedelta(days=4)).isoformat(),
        "to": (now - timedelta(hours=12)).isoformat(),
    }
    [eu, _] = api_of("operate").post("/profiles/daily/signals", body).json()
    # The baseline begins before the events of ten days ago.
    assert (eu["evidence"]["window"]["ended"], eu["evidence"]["baseline"]["ended"]) == (50, 100)
    assert datetime.fromisoformat(eu["window"]["to"]) == now - timedelta(hours=12)


def test_the_list_is_filtered_and_confined(api_of: Callable[..., Api]) -> None:
    computation = compute.compute(actor=SYSTEM).row.pk
    api, european = api_of("read"), api_of("read", namespaces=("eu",))

    def count(api: Api, query: str = "") -> int:
        return len(api.get(f"/signals{query}").json()["results"])

    assert (count(api), count(european)) == (3, 1)
    assert count(api, "?profile_id=daily") == 2
    assert count(api, "?namespace=us") == 2
    assert count(european, "?namespace=us") == 0
    assert count(api, f"?computation_id={computation}") == 3
    assert count(api, f"?computation_id={uuid4()}") == 0
    assert count(api, "?signal=insufficient_data&profile_id=other") == 1
    assert len(api.get("/signals?limit=2").json()["results"]) == 2
    us = AdvisorySignal.objects.filter(namespace="us")[0]
    hidden = european.get(f"/signals/{us.pk}")
    assert (hidden.status_code, hidden.json()["code"]) == (404, "unknown_signal")


def test_the_command_prints_signals(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("signals")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["profile", "namespace", "signal"],
        ["daily", "eu", "low_performance"],
        ["daily", "us", "stable"],
        ["other", "us", "insufficient_data"],
    ]
    call_command("signals", "--profile", "daily", "--json")
    document = json.loads(capsys.readouterr().out)
    assert [row["signal"] for row in document["results"]] == ["low_performance", "stable"]
    with pytest.raises(ProfileUnknown):
        call_command("signals", "--profile", "nowhere")
    with pytest.raises(WindowInvalid):
        call_command("signals", "--from", "2026-01-01T00:00:00Z")


def test_every_night_signals_are_computed_and_proposals_made() -> None:
    started = start()
    run = do_slices(started)
    assert (run.status, run.outcome) == ("completed", "succeeded")
    assert run.summary_counts["total"] == AdvisorySignal.objects.count() == 3
    [low] = reading.latest("daily", "eu", actor=SYSTEM)
    assert str(low.computation_id) == run.progress["computation"]
    assert run.summary_counts["created"] == StrategyProposal.objects.count() > 0


def test_a_profile_that_is_hidden_between_two_slices_costs_the_others_nothing() -> None:
    started = start()
    slices.do_next(started, tasks.handlers(), wake=lambda run, at: None)
    store_profiles([profile(label="Edited meanwhile")], [])
    run = do_slices(started)
    assert run.outcome == "succeeded"


def start() -> UUID:
    run, _ = ledger.ensure_workspace_run_with_identity(advisory_tasks.TYPE, {}, initiator="orbit")
    return run.pk


def do_slices(run: UUID) -> OperationRun:
    """Do slices as the queue does, without their pauses."""
    for _ in range(20):
        OperationRun.objects.filter(pk=run, finished_at=None).update(next_due_at=clock.read())
        slices.do_next(run, tasks.handlers(), wake=lambda run, at: None)
        if OperationRun.objects.get(pk=run).status == "completed":
            break
    return OperationRun.objects.get(pk=run)
