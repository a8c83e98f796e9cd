"""The pause of the workspace: the console's, and the environment's, which can't be lifted here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.access.actors import SYSTEM, Actor, NotAllowed
from governance.access.roles import ROLES, Scope
from governance.models import AuditTrailEntry, Stop
from governance.namespaces import gate, halts, pauses, stops
from governance.namespaces.pauses import HeldByEnvironment
from governance.namespaces.stops import ReasonInvalid, UntilInvalid
from tests.governance.namespaces.test_halts import at_once, entries, pass_time, soon
from tests.support.pipeline import rows

DEFAULT = "'default'::text"
ANN = Actor("ann", None, ROLES["Operator"], None)


@pytest.mark.django_db
def test_a_pause_stops_every_namespace_and_names_actor_and_reason() -> None:
    status = pauses.pause(actor=ANN, reason="a fire")
    assert (status.source, status.by, status.reason, status.until, status.quiet) == (
        "console",
        "ann",
        "a fire",
        None,
        False,
    )
    with pytest.raises(gate.GloballyPaused, match=r"since .* by ann: a fire\."):
        gate.ensure_may_start("default")
    assert {name: type(refusal) for name, refusal in gate.refusals(["default", "x"]).items()} == {
        "default": gate.GloballyPaused,
        "x": gate.GloballyPaused,
    }
    for condition in (gate.OPEN, gate.STARTS):
        assert rows(f"SELECT {condition.render('condition', [DEFAULT])}") == [(False,)]
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.actor, entry.object_type, entry.namespace, entry.reason) == (
        "pause.set",
        "ann",
        "pause",
        None,
        "a fire",
    )


@pytest.mark.django_db
def test_the_end_of_a_pause_is_audited_and_a_second_one_changes_nothing() -> None:
    pauses.pause(actor=ANN, reason="a fire")
    for _ in range(2):
        assert pauses.unpause(actor=ANN, reason="it is out").paused is False
    gate.ensure_may_start("default")
    assert gate.everything_paused() is None
    assert entries() == [("pause.set", "ann", "a fire"), ("pause.lifted", "ann", "it is out")]


@pytest.mark.django_db
def test_a_second_pause_never_ends_the_first_one_earlier() -> None:
    later = soon(7200)
    assert pauses.pause(actor=ANN, reason="a fire", until=later).until == later
    assert pauses.pause(actor=ANN, reason="a fire", until=soon(60)).until == later
    assert pauses.pause(actor=SYSTEM, reason="a larger one").until is None
    assert [action for action, _, _ in entries()] == ["pause.set", "pause.set"]


@pytest.mark.django_db
def test_the_environments_pause_is_shown_and_cannot_be_lifted(settings: Any) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    status = pauses.read()
    assert (status.source, status.paused) == ("environment", True)
    with pytest.raises(HeldByEnvironment):
        pauses.unpause(actor=ANN, reason="please")
    # Stopping is never refused: what the console holds stays when the environment's pause is over.
    assert pauses.pause(actor=ANN, reason="a fire").source == "environment"
    settings.ORBIT_GLOBAL_PAUSE = False
    assert pauses.read().source == "console"
    assert [action for action, _, _ in entries()] == ["pause.set"]


@pytest.mark.django_db
def test_a_user_who_is_confined_or_may_not_operate_pauses_nothing() -> None:
    for actor in (
        Actor("bea", None, frozenset(Scope), frozenset({"default"})),
        Actor("vic", None, ROLES["Viewer"], None),
    ):
        with pytest.raises(NotAllowed):
            pauses.pause(actor=actor, reason="r")
        with pytest.raises(NotAllowed):
            pauses.unpause(actor=actor, reason="r")
    assert not Stop.objects.exists()


@pytest.mark.django_db
def test_only_who_sees_the_workspace_sees_the_certificate_of_a_pause() -> None:
    pauses.pause(actor=ANN, reason="a fire")
    halts.mark_quiet(Stop.objects.get().pk, at=datetime.now(UTC), certificate='{"n": 1}')
    confined = Actor("bea", None, frozenset(Scope), frozenset({"default"}))
    assert [pauses.read(actor=actor).certificate for actor in (ANN, confined)] == [{"n": 1}, None]
    assert pauses.read(actor=confined).quiet


@pytest.mark.django_db
def test_a_pause_must_have_a_reason_and_end_in_the_future() -> None:
    with pytest.raises(ReasonInvalid):
        pauses.pause(actor=ANN, reason=" ")
    with pytest.raises(UntilInvalid):
        pauses.pause(actor=ANN, reason="r", until=datetime.now(UTC) - timedelta(seconds=1))


@pytest.mark.django_db
def test_an_expired_pause_stops_nothing_and_is_lifted_with_an_audit_entry() -> None:
    pauses.pause(actor=ANN, reason="for a while", until=soon())
    pauses.lift_expired()
    pass_time()
    gate.ensure_may_start("default")
    assert pauses.read().source is None
    assert pauses.pause(actor=ANN, reason="again").source == "console"
    assert list(Stop.objects.order_by("id").values_list("reason", "ended_reason")) == [
        ("for a while", stops.EXPIRED),
        ("again", ""),
    ]
    pass_time()
    Stop.objects.filter(ended_at__isnull=True).update(
        until=datetime.now(UTC) - timedelta(seconds=1)
    )
    pauses.lift_expired()
    pauses.lift_expired()
    assert [(action, actor) for action, actor, _ in entries()] == [
        ("pause.set", "ann"),
        ("pause.set", "ann"),
        ("pause.lifted", "orbit"),
    ]


def test_many_pauses_at_once_are_one(committed: str) -> None:
    for _ in range(20):
        at_once(
            *[lambda: pauses.pause(actor=ANN, reason="a fire")] * 3,
            *[lambda: pauses.unpause(actor=ANN, reason="out")] * 2,
        )
        assert Stop.objects.filter(ended_at__isnull=True).count() <= 1
        pauses.unpause(actor=ANN, reason="next round")
    assert (
        sum(action == "pause.set" for action, _, _ in entries())
        == sum(action == "pause.lifted" for action, _, _ in entries())
        == Stop.objects.count()
    )
