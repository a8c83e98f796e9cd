"""Every way to a decision tries to get round what a decision needs. Add a way to ``WAYS``.

The attacker is a superuser who is also an administrator: more than that no user has.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, transaction

from advisory.models import ProposalDecision, StrategyProposal
from governance.access.actors import SYSTEM, operator
from governance.kernel.constraints import violated
from governance.kernel.errors import OrbitError
from governance.models import NamespaceGrant, WorkspaceGrant
from orbit.models import Profile, ProfileRevision
from orbit.profiles import edit
from orbit.profiles.kinds import PROFILE
from orbit.states import ProfileState
from tests.support.advice import propose, state_of, store_documents
from tests.support.callers import Api, api, console, create_user, session
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


@dataclass
class Attack:
    """A proposal that the attacker may not approve, and what a page showed before that."""

    attacker: User
    proposal: StrategyProposal
    seen_sha256: str = ""

    @property
    def address(self) -> str:
        return f"/strategy-proposals/{self.proposal.pk}"

    def send(self, client: Api, verb: str = "approve", **headers: str) -> str:
        """Send the request; return the code of its refusal."""
        answer = client.post(f"{self.address}/{verb}", {"reason": "let me"}, **headers)
        return str(answer.json().get("code", answer.status_code))


def by_token(attack: Attack) -> str:
    return attack.send(api(attack.attacker))


def by_session(attack: Attack) -> str:
    return attack.send(session(attack.attacker))


def by_rejecting(attack: Attack) -> str:
    return attack.send(api(attack.attacker), "reject")


def by_a_second_tab(attack: Attack) -> str:
    body = {"reason": "let me", "seen_sha256": attack.seen_sha256}
    return str(session(attack.attacker).post(f"{attack.address}/approve", body).json()["code"])


def by_a_replay(attack: Attack) -> str:
    client, key = api(attack.attacker), str(uuid4())
    first = attack.send(client, Idempotency_Key=key)
    assert attack.send(client, Idempotency_Key=key) == first
    return first


def by_form(attack: Attack) -> str:
    """Press Approve on the proposal's page, which was opened before."""
    fields = {"verdict": "approve", "reason": "let me", "seen": attack.seen_sha256}
    address = f"/admin/advisory/strategyproposal/{attack.proposal.pk}/change/"
    answer = console(attack.attacker).post(address, {**fields, "call": str(uuid4())})
    messages = " ".join(str(message) for message in answer.context["messages"])
    return next(code for words, code in PHRASES.items() if words in messages)


def by_action(attack: Attack) -> str:
    """Select it in the list, and send an action of a name that its page has."""
    chosen = {"action": "approve", "_selected_action": str(attack.proposal.pk), "asked": "1"}
    for more in ({"verdict": "approve"}, {"action": "decide"}):
        answer = console(attack.attacker).post(
            "/admin/advisory/strategyproposal/", {**chosen, "reason": "let me", **more}
        )
        assert answer.status_code in {200, 302, 403}
    return "no such action"


def by_command(attack: Attack) -> str:
    try:
        call_command("proposals", "approve", str(attack.proposal.pk), "--reason", "let me")
    except OrbitError as refusal:
        return refusal.code
    return "approved"


def by_sql(attack: Attack) -> str:
    """Write what an approval writes, as the application's role."""
    attacker, proposal = attack.attacker, attack.proposal
    try:
        with transaction.atomic():
            rows(
                """INSERT INTO advisory_proposaldecision (id, proposal_id, verdict, reason, author,
                    decided_by, decided_by_user, seen, seen_sha256)
                VALUES (gen_random_uuid(), %s, 'approve', 'let me', %s, %s, %s, '{}',
                    repeat('0', 64)) RETURNING id""",
                proposal.pk,
                proposal.author,
                attacker.username,
                attacker.pk,
            )
            rows(
                """WITH saved AS (UPDATE orbit_profile SET revision = revision + 1
                    RETURNING id, revision, document)
                INSERT INTO orbit_profilerevision (profile_id, number, document, author, source,
                    reason)
                SELECT id, revision, document, 'orbit', 'proposal', '' FROM saved
                RETURNING number"""
            )
            StrategyProposal.objects.filter(pk=proposal.pk).update(
                state="approved", applied_revision=Profile.objects.get().revision
            )
    except IntegrityError as error:
        return violated(error)
    return "approved"


PHRASES = {
    "your own proposal": "own_proposal",
    "time to decide": "expired",
    "was made against revision": "superseded",
    "already, at": "already_decided",
}
WAYS: dict[str, Callable[[Attack], str]] = {
    "token": by_token,
    "session": by_session,
    "reject": by_rejecting,
    "second tab": by_a_second_tab,
    "replay": by_a_replay,
    "form": by_form,
    "action": by_action,
    "command": by_command,
    "sql": by_sql,
}


def nothing(proposal: StrategyProposal) -> None:
    pass


def is_edited(proposal: StrategyProposal) -> None:
    edit.set_state(PROFILE, "daily", ProfileState.DISABLED, actor=SYSTEM, source="admin", reason="")


def is_decided(proposal: StrategyProposal) -> None:
    rita = api(create_user("rita", "Reviewer"))
    assert rita.post(f"/strategy-proposals/{proposal.pk}/reject", {"reason": "no"}).json()


@dataclass(frozen=True)
class Case:
    """What is against an approval: how it comes about, and its refusal, for SQL its constraint."""

    code: str
    constraint: str
    own: bool = False
    expired: bool = False
    happens: Callable[[StrategyProposal], None] = nothing


CASES = {
    "own": Case("own_proposal", "four_eyes", own=True),
    "expired": Case("expired", "decision_in_time", expired=True),
    "superseded": Case("superseded", "proposal_revision", happens=is_edited),
    "decided": Case("already_decided", "decision_of_pending", happens=is_decided),
}


def attack_on(case: Case, way: str) -> Attack:
    store_documents()
    attacker = create_user("root", "Administrator")
    User.objects.filter(pk=attacker.pk).update(is_superuser=True)
    own = operator().name if way == "command" else attacker
    proposal = propose(own if case.own else "orbit", expired=case.expired)
    attack = Attack(attacker, proposal)
    attack.seen_sha256 = api(attacker).get(attack.address).json()["seen_sha256"]
    case.happens(proposal)
    return attack


def changed() -> tuple[Any, ...]:
    """Return what no attack may change."""
    decisions = ProposalDecision.objects.order_by("id").values_list("decided_by", "verdict")
    revisions = ProfileRevision.objects.order_by("number").values_list("number", "source")
    return list(decisions), list(revisions), Profile.objects.get().document


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_round(way: str, case: str) -> None:
    attack = attack_on(CASES[case], way)
    before = changed()
    expected = {"sql": CASES[case].constraint, "action": "no such action"}
    assert WAYS[way](attack) == expected.get(way, CASES[case].code)
    assert changed() == before
    assert state_of(attack.proposal) != "approved"


def paul_proposes() -> tuple[User, StrategyProposal]:
    store_documents()
    paul = create_user("paul", "Administrator")
    return paul, propose(paul)


def test_an_author_who_is_renamed_or_comes_with_an_old_token_is_still_the_author() -> None:
    paul, proposal = paul_proposes()
    old_token = api(paul, "review")
    User.objects.filter(pk=paul.pk).update(username="pavel")
    for client in (old_token, session(User.objects.get(pk=paul.pk))):
        assert Attack(paul, proposal).send(client) == "own_proposal"
    assert state_of(proposal) == "pending"


def test_a_token_without_the_scope_decides_nothing() -> None:
    _, proposal = paul_proposes()
    rita = create_user("rita", "Reviewer")
    assert Attack(rita, proposal).send(api(rita, "read")) == "forbidden"
    assert state_of(proposal) == "pending"


@pytest.mark.parametrize(
    ("lose", "code"),
    [
        (lambda rita: rita.groups.clear(), "forbidden"),
        (lambda rita: User.objects.filter(pk=rita.pk).update(is_active=False), "invalid_token"),
        (lambda rita: WorkspaceGrant.objects.filter(user=rita).delete(), "unknown_proposal"),
    ],
    ids=["role", "account", "namespaces"],
)
def test_what_a_reviewer_loses_between_opening_and_pressing(
    lose: Callable[[User], Any], code: str
) -> None:
    _, proposal = paul_proposes()
    rita = create_user("rita", "Reviewer")
    client, attack = api(rita), Attack(rita, proposal)
    seen = client.get(attack.address).json()["seen_sha256"]
    lose(rita)
    answer = client.post(f"{attack.address}/approve", {"reason": "ok", "seen_sha256": seen})
    assert answer.json()["code"] == code
    assert (state_of(proposal), ProposalDecision.objects.count()) == ("pending", 0)


def test_a_confined_reviewer_sees_and_decides_only_what_is_theirs() -> None:
    store_documents("eu", "us")
    rolf = create_user("rolf", "Reviewer", "us")
    theirs = propose(run_profile_id="daily-us", namespace="us", patch=TAGS)
    others = propose(run_profile_id="daily-eu", namespace="eu", patch=TAGS)
    shared = propose(namespace="us")
    assert Attack(rolf, others).send(api(rolf)) == "unknown_proposal"
    assert Attack(rolf, shared).send(api(rolf)) == "forbidden"
    # A token can be confined to less than its owner.
    NamespaceGrant.objects.filter(user=rolf).delete()
    WorkspaceGrant.objects.create(user=rolf)
    assert Attack(rolf, theirs).send(api(rolf, namespaces=["eu"])) == "unknown_proposal"
    assert Attack(rolf, theirs).send(api(rolf, namespaces=["us"])) == "200"


TAGS = [{"op": "add", "path": "/value_tags", "value": ["kit"]}]


def test_a_reviewer_edits_no_profile_past_an_approval() -> None:
    store_documents()
    rita = api(create_user("rita", "Reviewer"))
    document = {**Profile.objects.get().document, "label": "Mine"}
    answer = rita.put("/profiles/daily", document, If_Match='"1"')
    assert json.loads(answer.content)["code"] == "forbidden"
