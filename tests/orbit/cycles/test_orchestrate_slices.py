"""Orchestration in slices: work outside of transactions, nothing twice, nothing lost."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, connections, transaction

from governance.access.actors import SYSTEM, NotAllowed
from governance.kernel.identifiers import uuid7
from governance.models import AuditTrailEntry, GovernanceSetting
from orbit.cycles import creation, orchestrate, run_profile_slices
from orbit.cycles.orchestrate import Call, ProfileOutcome, Unfinished
from orbit.errors import RunProfileUnknown
from orbit.models import CronTick, CycleRun, Profile, RunProfile
from orbit.profiles import instruction, revisions
from orbit.profiles.instruction import ProfilePart
from orbit.schedules import run_tick
from orbit.schedules.rows import RUN_PROFILES
from orbit.states import Trigger
from tests.orbit.schedules.test_cron import NOON
from tests.support import callers
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles
from tests.support.pipeline import rows

#: 200 KB as canonical JSON.
BULK = {f"k{i:05d}": [[i + j, j / 7, f"v{j}", True] for j in range(12)] for i in range(500)}


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_profile_slices, "MOST_ROWS", 3)


def start_all(call: Call | None = None) -> dict[str, ProfileOutcome]:
    outcomes = orchestrate.all_enabled(source=Trigger.REST, actor=SYSTEM, call=call)
    return {outcome.run_profile_id: outcome for outcome in outcomes}


def named(outcomes: dict[str, ProfileOutcome]) -> dict[str, str]:
    return {name: outcome.outcome for name, outcome in outcomes.items()}


def cycles_by_run_profile() -> dict[str, int]:
    return dict(rows("SELECT run_profile_id, count(*) FROM orbit_cyclerun GROUP BY 1 ORDER BY 1"))


def stop_after(slices: int) -> Any:
    """Return a ``may_go_on`` that dies like a process in the slice after ``slices``."""
    seen = iter(range(slices))

    def may_go_on() -> bool:
        if next(seen, None) is None:
            raise SystemExit
        return True

    return may_go_on


@pytest.mark.django_db
def test_run_profiles_of_a_large_profile_take_one_synthesis_and_no_idle_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []

    class Counted(ProfilePart):
        def __init__(self, document: Any) -> None:
            made.append(document["profile_id"])
            super().__init__(document)

    monkeypatch.setattr(run_profile_slices, "ProfilePart", Counted)
    store_profiles(
        [profile(style_vector=BULK)],
        [run_profile(f"r{number:02d}", namespace=f"n{number % 20}") for number in range(50)],
    )
    outcomes = start_all()
    assert orchestrate.counts(list(outcomes.values())) == {"started": 20, "queued": 30}
    assert made == ["daily"]
    # 50 of 200 KB are three slices, and each has its entry.
    entries = AuditTrailEntry.objects.filter(action="cycle.triggered")
    assert [entry.object_id for entry in entries.order_by("id")] == [
        "22 run profiles",
        "22 run profiles",
        "6 run profiles",
    ]
    cycle = CycleRun.objects.get(pk=outcomes["r00"].cycle_run_id)
    plain = instruction.synthesize(
        RunProfile.objects.get(run_profile_id="r00").document, Profile.objects.get().document
    )
    assert bytes(cycle.input) == plain.body
    assert cycle.context == plain.document
    assert cycle.input_sha256 == cycle.instruction_id == plain.instruction_id


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_in_several_slices_each_namespace_starts_its_first_and_queues_the_others_in_order() -> None:
    names = [f"{namespace}{number}" for namespace in "abcd" for number in range(4)]
    store_profiles([profile()], [run_profile(name, namespace=name[0]) for name in names])
    outcomes = start_all()
    assert named(outcomes) == {name: "started" if name[1] == "0" else "queued" for name in names}
    order = CycleRun.objects.filter(namespace="b").order_by("id")
    assert list(order.values_list("run_profile_id", flat=True)) == ["b0", "b1", "b2", "b3"]


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_namespace_that_was_busy_before_skips_all_in_every_slice() -> None:
    store_profiles(
        [profile()],
        [run_profile(f"b{number}", namespace="busy") for number in range(8)]
        + [run_profile("f", namespace="free")],
    )
    active = active_cycle("busy")
    outcomes = start_all()
    assert named(outcomes) == {**{f"b{number}": "skipped" for number in range(8)}, "f": "started"}
    assert all(str(active.id) in outcomes[f"b{number}"].detail for number in range(8))
    assert rows("SELECT suppressed FROM orbit_skipnotice WHERE namespace = 'busy'") == [(7,)]


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_halt_between_two_slices_stops_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    store_profiles([profile()], [run_profile(f"r{number}") for number in range(7)])
    hold = creation.hold_configuration
    slices = 0

    def hold_and_halt() -> None:
        nonlocal slices
        slices += 1
        if slices == 2:
            GovernanceSetting.objects.filter(namespace__name="eu").update(
                halt=True, mode="quiet", reason="flood", changed_by="ann"
            )
        hold()

    monkeypatch.setattr(creation, "hold_configuration", hold_and_halt)
    counted = orchestrate.counts(list(start_all().values()))
    assert counted == {"started": 1, "queued": 2, "halted": 4}


@pytest.mark.django_db
@pytest.mark.parametrize("edited", ["profile", "run profile"])
def test_an_edit_after_the_reading_is_what_the_cycle_runs_on(
    monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    store_profiles([profile()], [run_profile("a")])
    hold = creation.hold_configuration
    edits = iter([1])

    def edit_and_hold() -> None:
        if next(edits, None):
            if edited == "profile":
                store_profiles([profile(style_vector={"tone": 9})], [])
            else:
                store_profiles([], [run_profile("a", asset_bundle={"tone": 9})])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", edit_and_hold)
    assert named(start_all()) == {"a": "started"}
    cycle = CycleRun.objects.get()
    assert {cycle.profile_revision, cycle.run_profile_revision} == {1, 2}
    assert b'"tone":9' in bytes(cycle.input)


@pytest.mark.django_db
def test_a_run_profile_that_is_hidden_after_the_reading_is_not_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    hold = creation.hold_configuration

    def hide_and_hold() -> None:
        revisions.hide_others(profiles=["daily"], run_profiles=["b"])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", hide_and_hold)
    assert named(start_all()) == {"b": "started"}
    assert cycles_by_run_profile() == {"b": 1}


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("slices", [0, 1, 2, 3])
def test_a_call_that_dies_between_slices_goes_on_and_starts_nothing_twice(slices: int) -> None:
    names = [f"r{number}" for number in range(10)]
    store_profiles(
        [profile()], [run_profile(name, namespace=f"n{int(name[1]) % 3}") for name in names]
    )
    call = uuid4()
    with pytest.raises(SystemExit):
        start_all(Call(call, stop_after(slices)))
    # Some of them have run to their end before it is repeated.
    rows(
        "UPDATE orbit_cyclerun SET status = 'success', finished_at = now(), next_due_at = NULL"
        " WHERE namespace = 'n0' RETURNING 1"
    )
    outcomes = start_all(Call(call))
    assert outcomes.keys() == set(names)
    assert {outcome.outcome for outcome in outcomes.values()} <= {"started", "queued"}
    assert cycles_by_run_profile() == dict.fromkeys(names, 1)
    assert start_all(Call(call)).keys() == set(names)
    assert cycles_by_run_profile() == dict.fromkeys(names, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_run_profile_that_is_removed_before_a_call_goes_on_is_invalid() -> None:
    store_profiles([profile()], [run_profile(f"r{number}") for number in range(5)])
    chosen = [f"r{number}" for number in range(5)]
    call = uuid4()
    with pytest.raises(SystemExit):
        orchestrate.selected(
            chosen, source=Trigger.REST, actor=SYSTEM, call=Call(call, stop_after(1))
        )
    RunProfile.objects.filter(run_profile_id="r4").update(hidden=True)
    outcomes = orchestrate.selected(chosen, source=Trigger.REST, actor=SYSTEM, call=Call(call))
    assert outcomes[4] == ProfileOutcome("r4", "invalid", detail="It was removed meanwhile.")
    with pytest.raises(RunProfileUnknown):
        orchestrate.selected(["r4"], source=Trigger.REST, actor=SYSTEM, call=Call(uuid4()))


@pytest.mark.parametrize("turn", range(3))
def test_the_same_call_made_twice_at_once_starts_each_run_profile_once(
    committed: str, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_profile_slices, "MOST_ROWS", 3)
    names = [f"r{number:02d}" for number in range(20)]
    store_profiles([profile()], [run_profile(name, namespace=f"n{name[-1]}") for name in names])
    call = uuid4()
    results: list[dict[str, ProfileOutcome]] = []
    barrier = threading.Barrier(3)

    def run() -> None:
        try:
            barrier.wait()
            results.append(start_all(Call(call)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(results) == 3
    for outcomes in results:
        assert {outcome.outcome for outcome in outcomes.values()} == {"started", "queued"}
    assert cycles_by_run_profile() == dict.fromkeys(names, 1)
    connection.close()


def tick() -> CronTick:
    return CronTick.objects.create(
        id=uuid7(), schedule=RUN_PROFILES, tick_key="k", due_at=NOON, outcome="due", detail={}
    )


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_tick_works_a_bounded_time_and_its_next_task_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"r{number}" for number in range(8)]
    store_profiles([profile()], [run_profile(name, namespace=f"n{name}") for name in names])
    monkeypatch.setattr(run_tick, "SECONDS", 0.0)
    due = tick()
    for started in (3, 6):
        run_tick.run(due.id)
        due.refresh_from_db()
        assert (due.outcome, CycleRun.objects.count()) == ("due", started)
    assert rows("SELECT count(*) FROM django_q_ormq WHERE lock <= now()")[0][0] > 0
    run_tick.run(due.id)
    due.refresh_from_db()
    assert (due.outcome, due.detail["outcomes"]) == ("started", {"started": 8})
    assert cycles_by_run_profile() == dict.fromkeys(names, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_tick_whose_worker_died_goes_on_even_past_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"r{number}" for number in range(5)]
    store_profiles([profile()], [run_profile(name, namespace=f"n{name}") for name in names])
    due = tick()
    with pytest.raises(SystemExit):
        orchestrate.all_enabled(
            source=Trigger.CRON, actor=SYSTEM, own_cron=False, call=Call(due.id, stop_after(1))
        )
    CronTick.objects.update(detail={"expires_at": NOON.isoformat()})
    run_tick.run(due.id)
    due.refresh_from_db()
    assert (due.outcome, due.detail["outcomes"]) == ("started", {"started": 5})
    assert cycles_by_run_profile() == dict.fromkeys(names, 1)


@pytest.mark.django_db
@pytest.mark.usefixtures("small_slices")
def test_a_caller_who_is_disabled_between_two_slices_starts_no_more() -> None:
    store_profiles([profile()], [run_profile(f"r{n}", namespace=f"n{n}") for n in range(7)])
    user = callers.create_user()
    asked: list[int] = []

    def may_go_on() -> bool:
        asked.append(CycleRun.objects.count())
        if len(asked) == 2:
            User.objects.filter(pk=user.pk).update(is_active=False)
        return True

    with pytest.raises(NotAllowed, match="ann was disabled"):
        orchestrate.all_enabled(
            source=Trigger.REST, actor=callers.actor_of(user), call=Call(may_go_on=may_go_on)
        )
    assert (asked, CycleRun.objects.count()) == ([0, 3], 3)


@pytest.mark.django_db
def test_a_call_that_may_not_go_on_writes_nothing() -> None:
    store_profiles([profile()], [run_profile("a")])
    with pytest.raises(Unfinished):
        start_all(Call(uuid4(), lambda: False))
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_a_run_profile_that_is_edited_all_the_time_is_invalid_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    hold = creation.hold_configuration
    edits = iter(range(100))

    def edit_and_hold() -> None:
        store_profiles([], [run_profile("a", asset_bundle={"n": next(edits)})])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", edit_and_hold)
    outcomes = start_all()
    assert named(outcomes) == {"a": "invalid", "b": "started"}
    assert "edited" in outcomes["a"].detail


@pytest.mark.django_db
def test_a_run_profile_that_the_database_does_not_give_is_not_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a")])

    def lose(*_: Any) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(run_profile_slices.SliceReader, "_part", lose)
    with pytest.raises(OperationalError):
        start_all()
    assert cycles_by_run_profile() == {}


@pytest.mark.django_db
def test_the_part_of_a_profile_is_forgotten_when_its_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_profile_slices, "_PART_BYTES", 3_000)
    profiles = [profile(f"p{number}") for number in range(9)]
    store_profiles(profiles, [run_profile(f"r{n}", f"p{n % 9}", f"n{n}") for n in range(27)])
    assert len(start_all()) == CycleRun.objects.count() == 27
    for cycle in CycleRun.objects.all():
        assert cycle.context["profile_id"] == cycle.profile_id


@pytest.mark.django_db
def test_a_savepoint_of_the_caller_survives_a_call_made_elsewhere() -> None:
    store_profiles([profile()], [run_profile("a")])
    call = uuid4()
    first = start_all(Call(call))
    with transaction.atomic():
        again = start_all(Call(call))
    assert again["a"].cycle_run_id == first["a"].cycle_run_id
