"""Equal proposals made at once, by real transactions."""

import threading
from functools import partial

import pytest
from django.db import connection

from advisory.autonomy import proposing
from advisory.models import StrategyProposal
from advisory.proposals import create
from advisory.states import Proposal
from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import ROLES
from governance.models import AuditTrailEntry
from orbit.profiles.kinds import PROFILE
from tests.support import advisory_signals
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.polling import until
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")
ANN, BEA = (Actor(name, None, ROLES["Operator"], None) for name in ("ann", "bea"))
DISABLE = [{"op": "replace", "path": "/state", "value": "disabled"}]


def generate(actor: Actor, made: list[create.Made], name: str = "daily") -> None:
    made.extend(proposing.propose(name, actor=actor).made)


def waiting() -> int:
    """Return how many sessions wait for the end of this transaction."""
    # Not pg_stat_activity: a transaction sees that as it was at its first look.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid"
        )
        return int(cursor.fetchone()[0])


def test_two_generators_at_once_make_each_proposal_once() -> None:
    store_profiles([profile()], [run_profile()])
    advisory_signals.store({("daily", "eu"): ("low_performance", 0.99)})
    for revision in range(20):
        store_profiles([profile(label=f"L{revision}")], [])
        made: list[create.Made] = []
        at_once(*(partial(generate, actor, made) for actor in (ANN, BEA)))
        assert sorted(one.created for one in made) == [False, True]
        assert len({one.proposal.id for one in made}) == 1
    assert StrategyProposal.objects.count() == 20
    assert AuditTrailEntry.objects.filter(action="proposal.created").count() == 20


def test_an_equal_proposal_waits_for_a_decision_and_is_then_made_anew() -> None:
    store_profiles([profile()], [run_profile()])
    first = create.propose(PROFILE, "daily", DISABLE, actor=ANN, rationale="r").proposal
    again: list[create.Made] = []

    def propose() -> None:
        again.append(create.propose(PROFILE, "daily", DISABLE, actor=BEA, rationale="r"))
        connection.close()

    thread = threading.Thread(target=propose)
    with audit.transaction():
        # As a decision does it: it holds the row while it writes.
        StrategyProposal.objects.filter(pk=first.pk).update(
            state=Proposal.SUPERSEDED, ended_at=first.created_at, end_reason="moved"
        )
        thread.start()
        until(lambda: waiting() == 1, "the second proposal waits")
    thread.join(60)
    (made,) = again
    assert (made.created, made.proposal.id == first.id) == (True, False)


def test_proposals_of_several_documents_dont_deadlock() -> None:
    store_profiles([profile(), profile("other")], [run_profile(), run_profile("o", "other")])
    for name in ("daily", "other"):
        advisory_signals.store({(name, "eu"): ("low_performance", 0.99)})
    at_once(*(partial(generate, SYSTEM, [], name) for name in ("daily", "other") * 2))
    assert StrategyProposal.objects.count() == 2
