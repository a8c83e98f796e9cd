"""What the database itself refuses, whatever role asks."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.auth.models import User
from psycopg.errors import (
    CheckViolation,
    ForeignKeyViolation,
    InsufficientPrivilege,
    UniqueViolation,
)

from advisory.models import AdvisorySignal, SignalComputation, StrategyProposal
from governance.kernel import clock
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.advice import propose, store_documents
from tests.support.callers import create_user

Connection = psycopg.Connection[Any]

INSERT = """INSERT INTO advisory_proposaldecision (id, proposal_id, verdict, reason, author,
    author_user, decided_by, decided_by_user, seen, seen_sha256, decided_at)
    VALUES (%(id)s, %(proposal_id)s, %(verdict)s, 'because', %(author)s, %(author_user)s,
    %(decided_by)s, %(decided_by_user)s, '{}', repeat('0', 64), '2020-01-01Z')"""
# Replica: ordinary triggers and foreign keys are off. Only a superuser may set it.
WAYS = [("orbit_app", ""), ("orbit_owner", ""), (SUPERUSER, "replica")]


@pytest.fixture(params=WAYS, ids=["app", "owner", "superuser"])
def raw(request: pytest.FixtureRequest, server: Server, committed: str) -> Iterator[Connection]:
    """A connection past Orbit's code."""
    role, replication = request.param
    store_documents()
    with psycopg.connect(server.url(role, committed), autocommit=True) as connection:
        if replication:
            connection.execute(f"SET session_replication_role = {replication}")
        yield connection


def decide(
    raw: Connection,
    proposal: StrategyProposal,
    by: User | None,
    verdict: str = "approve",
    **said: Any,
) -> None:
    row = {
        "id": uuid4(),
        "proposal_id": proposal.pk,
        "verdict": verdict,
        "author": proposal.author,
        "author_user": proposal.author_user,
        "decided_by": by.username if by else "command:root",
        "decided_by_user": by.pk if by else None,
    }
    raw.execute(INSERT, row | said)


def apply(raw: Connection, *, source: str = "proposal") -> None:
    """Make the revision that an approval makes."""
    raw.execute(
        """WITH saved AS (
            UPDATE orbit_profile SET revision = revision + 1 RETURNING id, revision, document)
        INSERT INTO orbit_profilerevision (profile_id, number, document, author, source, reason,
            created_at)
        SELECT id, revision, document, 'rita', %s, '', now() FROM saved""",
        [source],
    )


def move(
    raw: Connection, proposal: StrategyProposal, state: str, revision: int | None = None
) -> None:
    raw.execute(
        "UPDATE advisory_strategyproposal SET state = %s, applied_revision = %s WHERE id = %s",
        [state, revision, proposal.pk],
    )


def test_nobody_decides_their_own_proposal_under_any_name(raw: Connection) -> None:
    paul, rita = create_user("paul", "Reviewer"), create_user("rita", "Reviewer")
    proposal = propose(paul)
    with pytest.raises(CheckViolation, match="four_eyes"):
        decide(raw, proposal, paul)
    # Renamed after it, and a decision that leaves out who wrote it.
    User.objects.filter(pk=paul.pk).update(username="pavel")
    paul.refresh_from_db()
    with pytest.raises(CheckViolation, match="four_eyes"):
        decide(raw, proposal, paul, author_user=None)
    with pytest.raises(CheckViolation, match="can't name another one"):
        decide(raw, proposal, paul, author="rita")
    # Without a user, under another's name, and under a name that no user has.
    for said in (
        {"decided_by_user": None},
        {"decided_by_user": rita.pk},
        {"decided_by_user": 987_654},
        {"decided_by": "rita"},
        {"decided_by": "nemo"},
    ):
        with pytest.raises(CheckViolation, match="decision"):
            decide(raw, proposal, paul, **said)
    of_command = propose("command:root")
    with pytest.raises(CheckViolation, match="four_eyes"):
        decide(raw, of_command, None)
    with pytest.raises(CheckViolation, match="only commands decide without one"):
        decide(raw, of_command, None, decided_by="orbit")
    assert raw.execute("SELECT count(*) FROM advisory_proposaldecision").fetchone() == (0,)


def test_a_disabled_user_decides_nothing(raw: Connection) -> None:
    rita = create_user("rita", "Reviewer")
    User.objects.filter(pk=rita.pk).update(is_active=False)
    with pytest.raises(CheckViolation, match="There is no active user rita"):
        decide(raw, propose(), rita)


def test_one_user_counts_once_under_two_names(raw: Connection) -> None:
    rita = create_user("rita", "Reviewer")
    proposal = propose(required_approvals=2)
    decide(raw, proposal, rita)
    with pytest.raises(UniqueViolation):
        decide(raw, proposal, rita)
    User.objects.filter(pk=rita.pk).update(username="margarita")
    rita.refresh_from_db()
    with pytest.raises(UniqueViolation, match="one_decision_per_user"):
        decide(raw, proposal, rita)
    apply(raw)
    with pytest.raises(CheckViolation, match="has 1 of 2 approvals and 0 rejections"):
        move(raw, proposal, "approved", 2)


def test_only_a_pending_proposal_in_its_time_is_decided(raw: Connection) -> None:
    rita = create_user("rita", "Reviewer")
    expired, superseded = propose(expired=True), propose()
    with pytest.raises(CheckViolation, match=r"The time to decide the proposal .* ended at"):
        decide(raw, expired, rita)
    move(raw, superseded, "superseded")
    with pytest.raises(CheckViolation, match="is superseded already"):
        decide(raw, superseded, rita)
    rejected = propose()
    decide(raw, rejected, rita, "reject")
    move(raw, rejected, "rejected")
    with pytest.raises(CheckViolation, match="is rejected already"):
        decide(raw, rejected, None)
    with pytest.raises(ForeignKeyViolation, match="There is no proposal"):
        decide(raw, StrategyProposal(pk=uuid4(), author="orbit"), rita)


def test_a_state_is_reached_only_by_what_it_needs(raw: Connection) -> None:
    rita = create_user("rita", "Reviewer")
    proposal = propose()
    with pytest.raises(CheckViolation, match="has 0 of 1 approvals"):
        move(raw, proposal, "approved", 2)
    with pytest.raises(CheckViolation, match="No one has rejected"):
        move(raw, proposal, "rejected")
    with pytest.raises(CheckViolation, match="hasn't expired"):
        move(raw, proposal, "expired")
    decide(raw, proposal, rita)
    for revision in (None, 1, 2):
        with pytest.raises(CheckViolation, match="no revision by a proposal follows"):
            move(raw, proposal, "approved", revision)
    apply(raw)
    move(raw, proposal, "approved", 2)
    for state in ("pending", "rejected", "superseded"):
        with pytest.raises(CheckViolation, match="is approved, and that is final"):
            move(raw, proposal, state)


def test_a_revision_of_an_editor_is_no_approval(raw: Connection) -> None:
    proposal = propose()
    decide(raw, proposal, create_user("rita", "Reviewer"))
    apply(raw, source="admin")
    with pytest.raises(CheckViolation, match="no revision by a proposal follows"):
        move(raw, proposal, "approved", 2)


def test_one_rejection_is_enough_against_any_approvals(raw: Connection) -> None:
    proposal = propose()
    decide(raw, proposal, create_user("rita", "Reviewer"))
    decide(raw, proposal, None, "reject")
    apply(raw)
    with pytest.raises(CheckViolation, match="1 of 1 approvals and 1 rejections"):
        move(raw, proposal, "approved", 2)


def test_what_a_proposal_says_is_kept(raw: Connection) -> None:
    propose(required_approvals=2)
    for change in (
        "patch = '[]'",
        "rationale = 'harmless'",
        "author = 'paul'",
        "author_user = 7",
        "required_approvals = 1",
        "expires_at = now() + interval '1 year'",
        "base_revision = 7",
        "end_reason = 'x'",
        "patch = '[]', state = 'superseded', ended_at = now()",
    ):
        with pytest.raises(CheckViolation, match=r"can't be changed\. Make a new one\."):
            raw.execute(f"UPDATE advisory_strategyproposal SET {change}")
    # A proposal that is made as approved was never pending.
    with pytest.raises(CheckViolation, match="begins as pending"):
        raw.execute(
            """INSERT INTO advisory_strategyproposal SELECT (jsonb_populate_record(p, %s)).*
            FROM advisory_strategyproposal p""",
            [
                psycopg.types.json.Jsonb(
                    {"id": str(uuid4()), "state": "approved", "applied_revision": 1}
                )
            ],
        )


def test_nothing_on_record_is_removed_or_rewritten(raw: Connection) -> None:
    now = clock.now()
    computation = SignalComputation.objects.create(
        id=uuid4(),
        baseline_from=now,
        window_from=now,
        window_to=now.replace(year=now.year + 1, day=1),
        actor="orbit",
        signals=1,
    )
    AdvisorySignal.objects.create(
        id=uuid4(),
        computation=computation,
        profile_id="daily",
        signal="stable",
        confidence=0.5,
        method="",
        window_from=now,
        window_to=now,
        evidence={},
        recommendation="",
    )
    decide(raw, propose(), create_user("rita", "Reviewer"))
    for table in (
        "advisory_strategyproposal",
        "advisory_proposaldecision",
        "advisory_advisorysignal",
        "advisory_signalcomputation",
    ):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(InsufficientPrivilege):
                raw.execute(statement)
        if table != "advisory_strategyproposal":
            with pytest.raises(InsufficientPrivilege):
                raw.execute(f"UPDATE {table} SET id = gen_random_uuid()")


def test_the_time_of_a_decision_is_the_servers(raw: Connection) -> None:
    decide(raw, propose(), create_user("rita", "Reviewer"))
    assert raw.execute(
        "SELECT now() - decided_at < interval '1 hour' FROM advisory_proposaldecision"
    ).fetchone() == (True,)
