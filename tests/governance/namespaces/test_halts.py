"""Halt, drain and resume: who may, the state afterwards, and the audit trail."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from governance.access.actors import SYSTEM, Actor, NamespaceUnknown, NotAllowed
from governance.access.roles import ROLES, Scope
from governance.models import AuditTrailEntry, GovernanceSetting, Namespace, Stop
from governance.namespaces import gate, halts, pauses, registry, status, stops
from governance.namespaces.halts import StillHalted
from governance.namespaces.stops import ReasonInvalid, UntilInvalid
from governance.states import Mode
from tests.support.pipeline import rows

DEFAULT = "'default'::text"
ANN = Actor("ann", None, ROLES["Operator"], None)


def soon(seconds: float = 3600) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def entries() -> list[tuple[str, str, str]]:
    return list(AuditTrailEntry.objects.order_by("id").values_list("action", "actor", "reason"))


def pass_time(name: str = "default") -> None:
    """Let the end of every stop be past."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    Stop.objects.filter(ended_at__isnull=True).update(
        until=past, since=past - timedelta(seconds=60)
    )
    GovernanceSetting.objects.filter(namespace__name=name).update(until=past)


@pytest.mark.django_db
def test_a_halt_is_audited_with_actor_and_reason_and_stops_triggers() -> None:
    answer = halts.halt("default", actor=ANN, reason="a flood")
    assert (
        answer.state,
        answer.halt,
        answer.by,
        answer.reason,
        answer.until,
        answer.certificate,
    ) == (
        Mode.HALTING,
        True,
        "ann",
        "a flood",
        None,
        None,
    )
    with pytest.raises(gate.NamespaceHalted, match=r"since .* by ann: a flood\."):
        gate.ensure_may_start("default")
    entry = AuditTrailEntry.objects.get()
    assert (
        entry.action,
        entry.actor,
        entry.object_type,
        entry.object_id,
        entry.namespace,
        entry.reason,
    ) == ("namespace.halted", "ann", "namespace", "default", "default", "a flood")
    assert (entry.before, entry.after) == (
        {"state": "running"},
        {"state": "halting", "until": None},
    )
    stop = Stop.objects.get()
    assert (stop.kind, stop.started_by, stop.reason, stop.ended_at) == (
        "halt",
        "ann",
        "a flood",
        None,
    )


@pytest.mark.django_db
def test_a_halt_needs_no_reason_but_a_resume_and_a_drain_do() -> None:
    assert halts.halt("default", actor=ANN).reason == "none given"
    assert AuditTrailEntry.objects.get().reason == "none given"
    for words in ("", "  \n"):
        with pytest.raises(ReasonInvalid) as exc_info:
            halts.resume("default", actor=ANN, reason=words)
        assert exc_info.value.errors[0]["pointer"] == "/reason"
        with pytest.raises(ReasonInvalid):
            halts.drain("default", actor=ANN, reason=words)
    assert halts.resume("default", actor=ANN, reason="over").state == Mode.RUNNING


@pytest.mark.django_db
def test_a_second_halt_changes_nothing_and_leaves_no_entry() -> None:
    first = halts.halt("default", actor=ANN, reason="a flood")
    assert halts.halt("default", actor=SYSTEM) == first
    assert halts.halt("default", actor=SYSTEM, reason="a flood") == first
    assert len(entries()) == Stop.objects.count() == 1


@pytest.mark.django_db
def test_a_second_halt_never_ends_the_first_one_earlier() -> None:
    later, sooner = soon(7200), soon(60)
    first = halts.halt("default", actor=ANN, until=later)
    assert first.until == later
    assert halts.halt("default", actor=ANN, until=sooner).until == later
    extended = halts.halt("default", actor=ANN, reason="worse than that")
    assert (extended.until, extended.since) == (None, first.since)
    assert halts.halt("default", actor=ANN, until=later).until is None
    assert [action for action, _, _ in entries()] == ["namespace.halted", "namespace.halted"]
    assert Stop.objects.get().until is None


@pytest.mark.django_db
def test_resume_ends_a_halt_and_a_second_resume_changes_nothing() -> None:
    halts.halt("default", actor=ANN, reason="a flood")
    for _ in range(2):
        answer = halts.resume("default", actor=ANN, reason="it is dry")
        assert (answer.state, answer.halt, answer.reason) == (Mode.RUNNING, False, "")
    gate.ensure_may_start("default")
    stop = Stop.objects.get()
    assert (stop.ended_by, stop.ended_reason, stop.ended_at is not None) == (
        "ann",
        "it is dry",
        True,
    )
    assert entries()[1:] == [("namespace.resumed", "ann", "it is dry")]
    assert AuditTrailEntry.objects.order_by("-id")[0].before == {
        "state": "halting",
        "by": "ann",
        "reason": "a flood",
        "until": None,
    }


@pytest.mark.django_db
def test_a_drain_refuses_new_starts_and_lets_work_go_on() -> None:
    assert halts.drain("default", actor=ANN, reason="a release").state == Mode.DRAINING
    with pytest.raises(gate.NamespaceDraining, match="ann: a release"):
        gate.ensure_may_start("default")
    assert rows(
        f"SELECT {gate.OPEN.render('open', [DEFAULT])}, {gate.STARTS.render('starts', [DEFAULT])}"
    ) == [(True, False)]
    assert halts.halt("default", actor=ANN).state == Mode.HALTING
    assert list(Stop.objects.order_by("id").values_list("kind", "ended_reason")) == [
        ("drain", "halt"),
        ("halt", ""),
    ]
    with pytest.raises(StillHalted):
        halts.drain("default", actor=ANN, reason="a release")
    assert [action for action, _, _ in entries()] == ["namespace.drained", "namespace.halted"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "until",
    [datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1), datetime(9999, 12, 31, tzinfo=UTC)],
)
def test_an_end_in_the_past_without_a_zone_or_too_far_ahead_is_refused(until: datetime) -> None:
    for command in (halts.halt, halts.drain):
        with pytest.raises(UntilInvalid) as exc_info:
            command("default", actor=ANN, reason="r", until=until)
        assert exc_info.value.errors[0]["pointer"] == "/until"
    assert not Stop.objects.exists()


@pytest.mark.django_db
def test_an_expired_halt_stops_nothing_and_is_lifted_with_an_audit_entry() -> None:
    halts.halt("default", actor=ANN, reason="for a while", until=soon())
    assert halts.lift_expired() == 0
    pass_time()
    gate.ensure_may_start("default")
    assert rows(
        f"SELECT {gate.OPEN.render('open', [DEFAULT])}, {gate.STARTS.render('starts', [DEFAULT])}"
    ) == [(True, True)]
    assert status.find("default", actor=ANN).state == Mode.RUNNING
    assert [halts.lift_expired(), halts.lift_expired()] == [1, 0]
    assert entries()[1:] == [("namespace.resumed", "orbit", stops.EXPIRED)]
    stop = Stop.objects.get()
    assert stop.ended_at == stop.until


@pytest.mark.django_db
def test_a_halt_that_was_extended_before_its_end_is_recorded_is_not_lifted() -> None:
    halts.halt("default", actor=ANN, until=soon())
    # The list of expired stops was read just before.
    Stop.objects.update(until=datetime.now(UTC) - timedelta(seconds=1))
    assert halts.lift_expired() == 1
    assert status.find("default", actor=ANN).state == Mode.HALTING
    assert not Stop.objects.filter(ended_at__isnull=False).exists()


@pytest.mark.django_db
def test_a_halt_after_an_expired_halt_begins_anew() -> None:
    halts.halt("default", actor=ANN, until=soon())
    GovernanceSetting.objects.update(mode="quiet")
    pass_time()
    answer = halts.halt("default", actor=ANN, reason="again")
    assert (answer.state, answer.until) == (Mode.HALTING, None)
    assert Stop.objects.filter(ended_at__isnull=True).count() == 1
    assert Stop.objects.count() == 2


@pytest.mark.django_db
def test_an_administrator_halts_an_unknown_namespace_and_others_get_not_found() -> None:
    registry.ensure(["a"])
    confined = Actor("bea", None, frozenset(Scope), frozenset({"a"}))
    for actor in (ANN, confined):
        with pytest.raises(NamespaceUnknown):
            halts.halt("new", actor=actor)
    with pytest.raises(NamespaceUnknown):
        halts.halt("default", actor=confined)
    for name in ("", "no/slash", "x" * 101, "a\nb", "nul\x00", "\ud800"):
        with pytest.raises(NamespaceUnknown):
            halts.halt(name, actor=SYSTEM)
    assert not AuditTrailEntry.objects.exists()
    assert halts.halt("new", actor=SYSTEM).state == Mode.HALTING
    entry = AuditTrailEntry.objects.get()
    assert (entry.action, entry.after) == (
        "namespace.halted",
        {"state": "halting", "until": None, "created": True},
    )
    assert Namespace.objects.get(name="new").external_id.version == 4
    for command in (halts.drain, halts.resume):
        with pytest.raises(NamespaceUnknown):
            command("nowhere", actor=SYSTEM, reason="r")


@pytest.mark.django_db
@pytest.mark.parametrize("command", [halts.halt, halts.drain, halts.resume])
def test_a_user_who_may_not_operate_stops_and_resumes_nothing(command: Callable[..., Any]) -> None:
    for role in ("Viewer", "Reviewer", "Configurator"):
        with pytest.raises(NotAllowed):
            command("default", actor=Actor("vic", None, ROLES[role], None), reason="r")


@pytest.mark.django_db
def test_invalid_characters_of_a_reason_are_replaced_and_a_long_one_is_refused() -> None:
    assert halts.halt("default", actor=ANN, reason="a\x00b\ud800 ").reason == "a\ufffdb?"
    with pytest.raises(ReasonInvalid):
        halts.halt("default", actor=ANN, reason="x" * 2001)


@pytest.mark.django_db
def test_a_halt_that_was_written_by_hand_can_be_resumed() -> None:
    GovernanceSetting.objects.update(halt=True, mode="quiet", reason="by hand")
    assert halts.halt("default", actor=ANN, until=soon()).until is None
    assert halts.resume("default", actor=ANN, reason="r").state == Mode.RUNNING


@pytest.mark.django_db
def test_time_both_halted_and_paused_is_counted_once() -> None:
    other = registry.ensure(["other"]) and Namespace.objects.get(name="other")
    default = Namespace.objects.get(name="default")
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def stop(
        kind: str,
        begin: float,
        end: float | None,
        namespace: Namespace | None = default,
        until: float | None = None,
    ) -> None:
        ended_at = None if end is None else start + timedelta(seconds=end)
        Stop.objects.create(
            namespace=namespace,
            kind=kind,
            started_by="ann",
            since=start + timedelta(seconds=begin),
            ended_at=ended_at,
            until=None if until is None else start + timedelta(seconds=until),
        )

    def counted() -> float:
        return float(
            rows(
                f"SELECT {gate.STOPPED_SECONDS.render('seconds', ['%s', '%s::timestamptz'])}",
                start,
                start,
                start,
                "default",
            )[0][0]
        )

    assert counted() == 0
    stop("halt", -50, 10)  # 10 of it lie behind the start
    stop("pause", 5, 30, None)  # 20 more
    stop("drain", 100, 200)
    stop("halt", -90, -60)
    stop("halt", 300, 400, other)
    assert counted() == 30
    stop("halt", 1000, 1001)
    assert counted() == 31
    # Maintenance hasn't ended it yet: what is past its `until` isn't stopped time.
    stop("halt", 2000, None, until=2007)
    assert counted() == 38
    # It ended before its time.
    stop("halt", 3000, 3002, until=3900)
    assert counted() == 40


def at_once(*acts: Callable[[], object]) -> None:
    """Do all of them in threads that start together."""
    barrier = threading.Barrier(len(acts), timeout=60)

    def run(act: Callable[[], object]) -> None:
        try:
            barrier.wait()
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_any_number_of_halts_and_resumes_at_once_leave_one_state(committed: str) -> None:
    for _ in range(20):
        acts = [
            lambda: halts.halt("default", actor=ANN, reason="a flood"),
            lambda: halts.resume("default", actor=ANN, reason="dry"),
        ] * 3
        at_once(*acts)
        setting, open_stops = (
            GovernanceSetting.objects.get(namespace__name="default"),
            Stop.objects.filter(ended_at__isnull=True).count(),
        )
        assert open_stops == (1 if setting.halt else 0)
        halts.resume("default", actor=ANN, reason="next round")
    halted, resumed = (
        sum(action == name for action, _, _ in entries())
        for name in ("namespace.halted", "namespace.resumed")
    )
    assert halted == resumed == Stop.objects.count()


def test_several_halts_at_once_create_one_namespace(committed: str) -> None:
    for number in range(20):
        at_once(*[lambda name=f"n{number}": halts.halt(name, actor=SYSTEM)] * 4)
    assert (
        Namespace.objects.filter(name__startswith="n").count()
        == Stop.objects.count()
        == len(entries())
        == 20
    )


@pytest.mark.django_db
def test_only_an_open_halt_gets_a_certificate_and_gets_one() -> None:
    halts.halt("default", actor=ANN)
    stop = Stop.objects.get()
    halts.mark_quiet(stop.pk, at=datetime.now(UTC), certificate='{"n": 1}')
    answer = status.find("default", actor=ANN)
    assert (answer.state, answer.certificate) == (Mode.QUIET, {"n": 1})
    halts.mark_quiet(stop.pk, at=datetime.now(UTC), certificate='{"n": 2}')
    assert status.find("default", actor=ANN).certificate == {"n": 1}
    halts.resume("default", actor=ANN, reason="over")
    halts.halt("default", actor=ANN)
    halts.mark_quiet(stop.pk, at=datetime.now(UTC), certificate='{"n": 3}')
    assert status.find("default", actor=ANN).state == Mode.HALTING
    assert [stop.certificate for stop in status.history(stop.namespace_id)] == [
        None,
        {"n": 1},
    ]


@pytest.mark.django_db
def test_a_certificate_that_comes_too_late_changes_neither_the_stop_nor_the_namespace() -> None:
    halts.halt("default", actor=ANN)
    stop = Stop.objects.get()
    halts.resume("default", actor=ANN, reason="over")
    halts.mark_quiet(stop.pk, at=datetime.now(UTC), certificate='{"n": 1}')
    stop.refresh_from_db()
    assert (stop.certificate, stop.quiet_at) == (None, None)
    halts.halt("default", actor=ANN)
    GovernanceSetting.objects.update(mode="running", halt=False)  # by an outside tool
    halts.mark_quiet(Stop.objects.latest("id").pk, at=datetime.now(UTC), certificate="{}")
    assert status.find("default", actor=ANN).state == Mode.RUNNING


@pytest.mark.django_db
def test_every_stop_is_notified_at_its_commit(django_capture_on_commit_callbacks: Any) -> None:
    for act in (
        lambda: halts.halt("default", actor=ANN),
        lambda: halts.resume("default", actor=ANN, reason="r"),
        lambda: pauses.pause(actor=ANN, reason="r"),
        lambda: pauses.pause(actor=ANN, reason="another"),
        lambda: pauses.unpause(actor=ANN, reason="r"),
    ):
        with django_capture_on_commit_callbacks(execute=True) as rung:
            act()
        assert [callback.__qualname__ for callback in rung] == ["notify.<locals>.send"]
    assert not stops.expired().exists()
