"""Whether the forecasts of approved proposals came true."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from advisory.decisions import decide, probation_end, track_record, track_record_end
from advisory.decisions.probation import Terms
from advisory.models import StrategyProposal, TrackRecord
from advisory.states import Verdict
from governance import audit
from governance.access.actors import Actor
from governance.access.roles import ROLES
from governance.kernel import clock
from governance.kernel.identifiers import uuid7_floor
from orbit.models import CycleRun
from orbit.profiles import edit, revisions
from orbit.profiles.expected import ANY
from orbit.profiles.kinds import PROFILE
from tests.support.approved import BEN, approve, ended_cycle, pending
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db

#: So many days are over at once. The test's transaction began before its rows.
OVER = -1
DORA = Actor("dora", None, ROLES["Configurator"], None)


@pytest.fixture(autouse=True)
def configuration(db: None) -> None:
    store_profiles([profile()], [run_profile(), run_profile("daily-us", namespace="us")])


def forecast() -> dict[str, Any]:
    now = clock.read()
    return {
        "measure": "success_rate",
        "before": {
            "from": (now - timedelta(days=7)).isoformat(),
            "to": (now - timedelta(minutes=5)).isoformat(),
            "value": 0.6,
        },
        "target": 0.85,
    }


def cycles(number: int, status: str = "success", **values: Any) -> None:
    for _ in range(number):
        ended_cycle(**{"status": status, "finished_at": clock.read(), **values})


def cycles_before(succeeded: int, failed: int, **values: Any) -> None:
    at = clock.read() - timedelta(days=1)
    for number in range(succeeded + failed):
        cycle_id = ended_cycle(
            revision=1,
            status="success" if number < succeeded else "failed",
            finished_at=at,
            **values,
        )
        moved = uuid7_floor(at + timedelta(milliseconds=number))
        CycleRun.objects.filter(pk=cycle_id).update(id=moved)


def approved(**values: Any) -> StrategyProposal:
    proposal = pending(**{"forecast": forecast(), **values})
    with audit.transaction():
        approve(proposal, profile(label="Better"))
        track_record.start(proposal)
    return proposal


def ending() -> tuple[str, str]:
    row = TrackRecord.objects.get()
    return row.status, row.reason


def test_a_forecast_that_came_true() -> None:
    cycles_before(36, 24)
    approved()
    cycles(19)
    assert track_record_end.resolve_due() == 0
    assert ending() == ("waiting", "")
    cycles(1, "partial_success")
    cycles(5, "failed")
    assert [track_record_end.resolve_due(), track_record_end.resolve_due()] == [1, 0]
    assert ending() == (
        "came_true",
        "It came true: 19 of 20 cycles succeeded afterwards, 36 of 60 before; at least 85% was "
        "forecast.",
    )
    measured = TrackRecord.objects.get().measured
    assert measured["before"]["cycles"] == 60
    assert measured["after"]["success_rate"] == 0.95
    assert set(measured["p"]) == {"rose", "fell", "missed"}


def test_a_forecast_that_did_not() -> None:
    cycles_before(36, 24)
    approved()
    cycles(10)
    cycles(10, "failed")
    track_record_end.resolve_due()
    assert ending()[0] == "did_not"
    assert "10 of 20 cycles succeeded" in ending()[1]


def test_a_forecast_of_the_latency() -> None:
    cycles_before(20, 0, milliseconds=5000)
    document = {**forecast(), "measure": "latency_ms", "target": 3000}
    document["before"]["value"] = 5000
    approved(forecast=document)
    cycles(20, milliseconds=2000)
    track_record_end.resolve_due()
    assert ending()[0] == "came_true"
    assert "2 s afterwards, 5 s before" in ending()[1]


def test_what_no_one_can_tell() -> None:
    cycles_before(36, 24)
    approved()
    cycles(15)
    cycles(5, "failed")
    track_record_end.resolve_due()
    assert ending()[0] == "cannot_tell"
    assert ending()[1].startswith("It can't be said: 15 of 20 cycles")


def test_only_cycles_of_the_namespace_that_the_signal_was_about_count() -> None:
    elsewhere = {"run_profile_id": "daily-us", "namespace": "us"}
    cycles_before(36, 24)
    approved()
    cycles(20, **elsewhere)
    assert track_record_end.resolve_due() == 0
    cycles(20)
    track_record_end.resolve_due()
    assert TrackRecord.objects.get().measured["after"]["cycles"] == 20
    assert TrackRecord.objects.get().measured["before"]["cycles"] == 60


def test_without_a_namespace_the_cycles_of_all_count() -> None:
    approved(namespace=None)
    cycles(10)
    cycles(10, run_profile_id="daily-us", namespace="us")
    assert track_record_end.resolve_due() == 1


def test_after_30_days_what_there_is_is_compared() -> None:
    cycles_before(36, 24)
    approved()
    cycles(12)
    assert track_record_end.resolve_due(days=30) == 0
    assert track_record_end.resolve_due(days=OVER) == 1
    assert ending()[0] == "came_true"


def test_too_few_cycles_in_30_days_show_nothing() -> None:
    cycles_before(36, 24)
    approved()
    cycles(9)
    track_record_end.resolve_due(days=OVER)
    assert ending() == (
        "cannot_tell",
        "It can't be said: only 9 ended cycles afterwards, and 10 are needed. Orbit waited 30 days "
        "for 20.",
    )


def test_too_few_cycles_before_show_nothing() -> None:
    approved()
    cycles(20)
    track_record_end.resolve_due()
    assert ending()[0] == "cannot_tell"
    assert "only 0 ended cycles before" in ending()[1]


def edit_by_dora(label: str) -> None:
    edit.save(
        PROFILE, "daily", profile(label=label), actor=DORA, source="api", expected=ANY, reason="x"
    )


@pytest.mark.parametrize(
    ("label", "did"), [("Mine", "edited it"), ("Daily", "went back to the earlier document")]
)
def test_after_an_edit_no_one_can_tell_and_the_reason_says_whose_edit(label: str, did: str) -> None:
    approved()
    cycles(12)
    edit_by_dora(label)
    edit_by_dora("Later")
    assert track_record_end.resolve_due() == 1
    assert ending() == (
        "cannot_tell",
        f"It can't be said: dora {did} (revision 3) after 12 of 20 cycles.",
    )


def test_an_edit_after_enough_cycles_changes_nothing() -> None:
    cycles_before(36, 24)
    approved()
    cycles(20)
    edit_by_dora("Mine")
    track_record_end.resolve_due()
    assert ending()[0] == "came_true"


def test_after_the_end_of_a_probation_no_one_can_tell() -> None:
    terms = Terms(cycles=2)
    proposal = pending(forecast=forecast())
    decide.decide(proposal.pk, Verdict.APPROVE, actor=BEN, reason="try it", probation=terms)
    cycles(2)
    assert probation_end.end_due() == 1
    track_record_end.resolve_due()
    assert ending() == (
        "cannot_tell",
        "It can't be said: the probation ended and the earlier revision came back after 2 of 20 "
        "cycles.",
    )


def test_a_hidden_profile_shows_nothing() -> None:
    approved()
    revisions.hide_others(profiles=[], run_profiles=[])
    track_record_end.resolve_due()
    assert ending() == (
        "cannot_tell",
        "It can't be said: the profile daily left the configuration after 0 of 20 cycles.",
    )


def test_a_forecast_that_names_no_measure_shows_nothing() -> None:
    approved(forecast={"hope": "much"})
    cycles(20)
    track_record_end.resolve_due()
    assert ending()[0] == "cannot_tell"


def test_without_a_forecast_there_is_no_track_record() -> None:
    approved(forecast=None)
    assert not TrackRecord.objects.exists()


def test_a_pass_looks_at_a_bounded_number_and_the_next_goes_on() -> None:
    for number in range(3):
        store_profiles([profile(f"p{number}")], [])
        proposal = pending(f"p{number}", forecast=forecast(), namespace=None)
        approve(proposal, profile(f"p{number}", label="Better"))
        track_record.start(proposal)
    store_profiles([profile("p2", label="Mine")], [])
    sweep = track_record_end.Sweep()
    assert [sweep.resolve_due(limit=2) for _ in range(3)] == [0, 1, 0]


def ended(rule: str, status: str, at: datetime) -> None:
    row = TrackRecord.objects.create(proposal=pending(rule=rule), rule=rule, cycles=20)
    TrackRecord.objects.filter(pk=row.pk).update(status=status, ended_at=at)


def test_the_hit_rate_counts_the_last_ended_ones_of_a_rule_and_of_all() -> None:
    now = clock.read()
    for number, (rule, status) in enumerate(
        [("backoff", "came_true")] * 6
        + [("backoff", "did_not"), ("retries", "did_not"), ("", "did_not")]
        + [("backoff", "cannot_tell")] * 2
    ):
        ended(rule, status, now - timedelta(days=number))
    TrackRecord.objects.create(proposal=pending(), rule="backoff", cycles=20)
    assert track_record.hit_rate("backoff").sentence == (
        "Of the rule backoff's last 9 approved proposals 6 came true, 1 did not, and of 2 it "
        "can't be said."
    )
    assert track_record.hit_rate().to_dict() == {
        "rule": None,
        "came_true": 6,
        "did_not": 2,
        "cannot_tell": 2,
        "sentence": "Of the engine's last 10 approved proposals 6 came true, 2 did not, and of 2 "
        "it can't be said.",
    }
    assert track_record.hit_rate("retries").sentence == (
        "Of the rule retries's approved proposals one was compared with its forecast: it did not "
        "come true."
    )
    assert track_record.hit_rate("new").sentence.startswith("None of the rule new's")


@pytest.mark.parametrize("rule", [None, "backoff"])
def test_the_hit_rate_reads_only_the_last_ended_ones(rule: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO advisory_strategyproposal
                (id, profile_id, base_revision, patch, title, rationale, evidence, rule, author,
                 requested_by, state, fingerprint, required_approvals, end_reason)
            SELECT gen_random_uuid(), 'daily', 1, '[]', '', '', '{}', '', 'x',
                   '', 'pending', n::text, 1, ''
            FROM generate_series(1, 5000) n;
            INSERT INTO advisory_trackrecord
                (proposal_id, status, rule, cycles, measured, reason, started_at, ended_at)
            SELECT p.id, 'waiting', 'backoff', 20, '{}', '', now(), NULL
            FROM advisory_strategyproposal p;
            UPDATE advisory_trackrecord SET status = 'came_true', ended_at = now();
            ANALYZE advisory_trackrecord;
            -- Of so few rows the planner may choose to sort all: is there an index in this order?
            SET LOCAL enable_sort = off;
            SET LOCAL enable_seqscan = off;
            SET LOCAL enable_bitmapscan = off;
            """
        )
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {track_record.HIT_RATE.text}",
            {"rule": rule, "most": 50},
        )
        plan = cursor.fetchone()[0]
    assert _most_rows(plan[0]["Plan"]) <= 50


def _most_rows(node: dict[str, Any]) -> float:
    return max([node["Actual Rows"], *(_most_rows(child) for child in node.get("Plans", []))])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE advisory_trackrecord SET status = 'did_not'",
        "UPDATE advisory_trackrecord SET reason = 'better than you think'",
        "UPDATE advisory_trackrecord SET status = 'waiting', ended_at = NULL",
        "DELETE FROM advisory_trackrecord",
        "TRUNCATE advisory_trackrecord",
    ],
)
def test_the_database_keeps_what_a_forecast_ended_as(statement: str) -> None:
    ended("backoff", "came_true", clock.read())
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert track_record.hit_rate().came_true == 1
