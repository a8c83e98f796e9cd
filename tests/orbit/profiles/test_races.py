"""Editors, reloads and triggers at once, with real threads on a database of their own."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.cycles import cancel, trigger
from orbit.errors import CyclesActive, Stale
from orbit.models import CycleRun, Profile, ProfileRevision
from orbit.profiles import edit, reload
from orbit.profiles.expected import NEW, Expected, exactly
from orbit.profiles.kinds import PROFILE
from orbit.states import Trigger
from tests.support.configuration import profile, run_profile, store_profiles, write_profiles
from tests.support.pipeline import rows, start_cycle
from tests.support.polling import until

pytestmark = pytest.mark.usefixtures("committed")


def put(document: dict[str, Any], expected: Expected) -> None:
    edit.save(
        PROFILE, document["profile_id"], document, actor=SYSTEM, source="api", expected=expected
    )


def test_of_editors_of_the_same_revision_exactly_one_writes() -> None:
    store_profiles([profile()], [])
    gate = threading.Barrier(4, timeout=60)

    def save(number: int, revision: int) -> bool:
        try:
            gate.wait()
            put(profile(label=f"{revision} by {number}"), exactly(revision))
        except Stale:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        for revision in range(1, 21):
            assert sum(pool.map(save, range(4), [revision] * 4)) == 1
    assert Profile.objects.get().revision == 21
    assert ProfileRevision.objects.count() == 21
    assert AuditTrailEntry.objects.filter(action="profile.changed").count() == 20


def test_of_many_who_create_the_same_profile_at_once_one_succeeds() -> None:
    gate = threading.Barrier(4, timeout=60)

    def make(number: int) -> bool:
        try:
            gate.wait()
            put(profile("new", label=f"by {number}"), NEW)
        except Stale:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make, range(4))) == 1
    assert ProfileRevision.objects.count() == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_reload_happens_while_a_cycle_is_active_and_no_cycle_mixes_two_configurations(
    tmp_path: Path, settings: Any, seed: int
) -> None:
    settings.ORBIT_CONFIG_DIR, settings.ORBIT_DISPATCH_ENDPOINTS = tmp_path, "[]"
    store_profiles(
        [profile()], [run_profile(f"r{number}", namespace=f"n{number}") for number in range(3)]
    )
    stop, active, reloads = threading.Event(), [], []

    def version(number: int) -> None:
        write_profiles(
            tmp_path,
            [profile(label=f"v{number}", value_tags=[f"v{number}"])],
            [run_profile(f"r{n}", namespace=f"n{n}", asset_bundle={"v": number}) for n in range(3)],
        )

    def run(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        try:
            while not stop.is_set():
                started = trigger.start(
                    namespace=None,
                    source=Trigger.COMMAND,
                    actor=SYSTEM,
                    run_profile_id=f"r{number}",
                ).cycle_id
                begins = time.monotonic()
                time.sleep(chance.random() * 0.01)
                ends = time.monotonic()
                cancel.cancel(started, actor=SYSTEM, reason="enough")
                active.append((begins, ends))
                time.sleep(chance.random() * 0.02)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        triggers = [pool.submit(run, number) for number in range(3)]
        ends_at, number = time.monotonic() + 1.0, 1
        while time.monotonic() < ends_at:
            version(number)
            begins = time.monotonic()
            try:
                reload.apply_files(actor=SYSTEM, reason="next")
            except CyclesActive as refused:
                assert refused.extra["active_cycle_run_ids"]
            else:
                reloads.append((begins, time.monotonic()))
                number += 1
        stop.set()
        for future in triggers:
            future.result()
    # A cycle that was active for the whole of a reload would be one that it didn't see.
    assert [
        (interval, other)
        for interval in reloads
        for other in active
        if other[0] <= interval[0] and interval[1] <= other[1]
    ] == []
    assert active
    versions = {
        (tuple(c["value_tags"]), c["asset_bundle"].get("v", 0))
        for c in CycleRun.objects.values_list("context", flat=True)
    }
    assert versions <= {((), 0), *(((f"v{n}",), n) for n in range(1, number))}
    assert AuditTrailEntry.objects.filter(action="config.reloaded").count() == len(reloads)


def test_a_trigger_waits_for_a_reload_and_then_runs_on_the_new_configuration(
    tmp_path: Path, settings: Any
) -> None:
    settings.ORBIT_CONFIG_DIR = tmp_path
    store_profiles([profile(label="old")], [run_profile("r1", namespace="a")])
    write_profiles(tmp_path, [profile(label="new")], [run_profile("r1", namespace="a")])
    started: list[str] = []

    def start() -> None:
        try:
            started.append(str(start_cycle("r1")))
        finally:
            connection.close()

    thread = threading.Thread(target=start)
    with transaction.atomic():
        reload.apply_files(actor=SYSTEM, reason="next")
        thread.start()
        until(
            lambda: started or rows("SELECT 1 FROM pg_locks WHERE NOT granted"),
            "the trigger neither waits nor starts",
        )
        assert not started
    thread.join(60)
    assert CycleRun.objects.get(pk=started[0]).profile_revision == 2
