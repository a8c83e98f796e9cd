"""From the files into the database."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry, Namespace
from orbit.dispatch.endpoints import EndpointsInvalid
from orbit.errors import CyclesActive
from orbit.models import AppliedFiles, CycleRun, Profile, ProfileRevision, RunProfile
from orbit.profiles import reload
from orbit.profiles.files import ConfigInvalid
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.configuration import (
    active_cycle,
    profile,
    run_profile,
    store_profiles,
    write_profiles,
)

pytestmark = pytest.mark.django_db

HOOK = json.dumps(
    [{"key": "hook", "url": "https://192.0.2.1/hook", "method": "POST", "token": "t"}]
)

LOCKED = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@pytest.fixture
def folder(tmp_path: Path, settings) -> Path:
    settings.ORBIT_CONFIG_DIR = tmp_path
    settings.ORBIT_DISPATCH_ENDPOINTS = "[]"
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = []
    write_profiles(tmp_path, [profile()], [run_profile()])
    return tmp_path


def entries() -> list[AuditTrailEntry]:
    return list(AuditTrailEntry.objects.filter(action="config.reloaded").order_by("id"))


def test_an_empty_database_takes_the_files_and_makes_their_namespaces(folder: Path) -> None:
    reload.load_at_start()
    assert RunProfile.objects.get().document == run_profile()
    assert Namespace.objects.filter(name="eu").exists()
    assert ProfileRevision.objects.get().source == "files"
    (entry,) = entries()
    assert (entry.actor, entry.reason) == ("orbit", "first load")
    assert entry.after["counts"] == {"created": 2, "changed": 0, "hidden": 0, "unchanged": 0}
    assert entry.after["created"] == ["profiles/daily", "run-profiles/daily-eu"]
    assert entry.after["namespaces"] == ["eu"]


def test_a_second_start_on_the_same_files_writes_nothing_and_asks_once(
    folder: Path, django_assert_num_queries
) -> None:
    reload.load_at_start()
    with django_assert_num_queries(1):
        reload.load_at_start()
    assert len(entries()) == 1


def test_files_written_in_another_order_are_the_same_files(
    folder: Path, django_assert_num_queries
) -> None:
    write_profiles(folder, [profile("a"), profile("b")], [])
    reload.load_at_start()
    write_profiles(folder, [dict(reversed(profile("b").items())), profile("a")], [])
    with django_assert_num_queries(1):
        reload.load_at_start()


def test_changed_files_are_applied_at_start_even_while_a_cycle_runs(folder: Path) -> None:
    reload.load_at_start()
    active_cycle()
    write_profiles(folder, [profile(label="New")], [])
    reload.load_at_start()
    assert Profile.objects.get().label == "New"
    assert RunProfile.objects.get().hidden
    assert entries()[-1].after["hidden"] == ["run-profiles/daily-eu"]


def test_the_database_is_kept_if_both_were_changed(folder: Path, caplog) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    write_profiles(folder, [profile(label="By file")], [run_profile()])
    with caplog.at_level(logging.WARNING, logger="orbit.profiles.reload"):
        reload.load_at_start()
    assert Profile.objects.get().label == "By hand"
    assert "the database is used" in caplog.text
    assert len(entries()) == 1


def test_an_edit_that_was_undone_is_not_an_edit(folder: Path) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    store_profiles([profile()], [])
    write_profiles(folder, [profile(label="By file")], [run_profile()])
    reload.load_at_start()
    assert Profile.objects.get().label == "By file"


def test_files_that_caught_up_with_the_database_are_taken_as_applied(folder: Path) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    write_profiles(folder, [profile(label="By hand")], [run_profile()])
    reload.load_at_start()
    assert AppliedFiles.objects.get().sha256 == reload.digest_of(reload.read_checked()[0])
    write_profiles(folder, [profile(label="Later")], [run_profile()])
    reload.load_at_start()
    assert Profile.objects.get().label == "Later"


def test_documents_that_were_not_loaded_from_files_are_kept_too(folder: Path) -> None:
    store_profiles([profile("mine")], [])
    reload.load_at_start()
    assert list(Profile.objects.values_list("profile_id", flat=True)) == ["mine"]


def test_invalid_files_stop_a_start_with_every_error_of_files_and_endpoints(
    folder: Path, settings
) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = '[{"key": "hook"}]'
    write_profiles(
        folder,
        [
            profile(state="on"),
            profile(execution_rules={"tiers": {"2": {"transformer": "nothing"}}}),
        ],
        [run_profile(profile_id="unknown")],
    )
    with pytest.raises(ConfigInvalid) as exc_info:
        reload.load_at_start()
    places = {(error["file"], error["pointer"]) for error in exc_info.value.errors}
    assert {
        ("profiles.json", "/0/state"),
        ("profiles.json", "/1/execution_rules/tiers/2/transformer"),
        ("runProfiles.json", "/0/profile_id"),
    } <= places
    assert any(file == "ORBIT_DISPATCH_ENDPOINTS" for file, _ in places)
    assert not Profile.objects.exists()


def test_a_file_that_cannot_be_read_hides_no_error_of_the_other(folder: Path) -> None:
    write_profiles(folder, [profile(state="on")], [])
    (folder / "runProfiles.json").write_text('[{"namespace": 1, "namespace": 2}]')
    with pytest.raises(ConfigInvalid) as exc_info:
        reload.load_at_start()
    assert {(error["file"], error["pointer"]) for error in exc_info.value.errors} == {
        ("runProfiles.json", "/0/namespace"),
        ("profiles.json", "/0/state"),
    }
    write_profiles(folder, [], [run_profile(state="on")])
    (folder / "profiles.json").write_text("[")
    with pytest.raises(ConfigInvalid) as exc_info:
        reload.load_at_start()
    assert {(error["file"], error["pointer"]) for error in exc_info.value.errors} == {
        ("profiles.json", "/0"),
        ("runProfiles.json", "/0/state"),
    }


def test_invalid_files_stop_a_start_even_if_the_database_would_be_kept(folder: Path) -> None:
    reload.load_at_start()
    store_profiles([profile(label="By hand")], [])
    (folder / "runProfiles.json").write_text("[")
    with pytest.raises(ConfigInvalid):
        reload.load_at_start()


def test_wrong_endpoints_alone_stop_a_start(folder: Path, settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = '[{"key": "hook"}]'
    with pytest.raises(EndpointsInvalid):
        reload.load_at_start()


def test_an_address_that_the_rules_refuse_stops_a_start(folder: Path, settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = HOOK.replace("192.0.2.1", "localhost")
    with pytest.raises(EndpointsInvalid, match="hook"):
        reload.load_at_start()


def test_a_target_that_no_endpoint_answers_to_is_an_error(folder: Path, settings) -> None:
    settings.ORBIT_DISPATCH_ENDPOINTS = HOOK.replace("192.0.2.1", "93.184.215.14")
    write_profiles(folder, [profile()], [run_profile(distribution_targets=["hook", "hok"])])
    with pytest.raises(ConfigInvalid) as exc_info:
        reload.read_checked()
    assert [error["pointer"] for error in exc_info.value.errors] == ["/0/distribution_targets/1"]


def test_a_reload_applies_the_files_over_edits_and_says_what_it_did(folder: Path) -> None:
    write_profiles(folder, [profile("a"), profile("b"), profile("c")], [])
    reload.load_at_start()
    store_profiles([profile("a", label="By hand")], [])
    write_profiles(folder, [profile("a"), profile("b"), profile("d")], [])
    result = reload.apply_files(actor=SYSTEM, reason="as agreed")
    assert (result.created, result.changed, result.hidden, result.unchanged) == (
        ("profiles/d",),
        ("profiles/a",),
        ("profiles/c",),
        1,
    )
    assert entries()[-1].reason == "as agreed"
    assert ProfileRevision.objects.filter(profile__profile_id="a").order_by("-number").values_list(
        "source", "reason"
    )[0] == ("reload", "as agreed")


def test_a_reload_is_refused_while_a_cycle_is_active_and_names_it(folder: Path) -> None:
    cycle = active_cycle()
    with pytest.raises(CyclesActive) as exc_info:
        reload.apply_files(actor=SYSTEM, reason="")
    assert f"{cycle.id} in default" in exc_info.value.detail
    assert "cancel" in exc_info.value.detail
    assert exc_info.value.extra == {"active_cycle_run_ids": [str(cycle.id)]}
    assert not Profile.objects.exists()
    assert not entries()


def test_an_invalid_file_applies_nothing(folder: Path) -> None:
    write_profiles(folder, [profile("fine")], [run_profile(profile_id="unknown")])
    with pytest.raises(ConfigInvalid):
        reload.apply_files(actor=SYSTEM, reason="")
    assert not Profile.objects.exists()


@pytest.fixture
def own_database(server: Server, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes with a database of their own and the files of ``tmp_path``."""
    write_profiles(tmp_path, [profile()], [run_profile(f"rp-{number}") for number in range(50)])
    name = f"orbit_reload_{os.getpid()}"
    database.clone(server, name)
    yield {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CONFIG_DIR": str(tmp_path),
        "ORBIT_DISPATCH_ENDPOINTS": "[]",
    }
    database.drop(server, name)


def wait_for_lock(connection: psycopg.Connection, waiting: list[subprocess.Popen[str]]) -> None:
    """Wait until all of ``waiting`` wait for a lock; none may end meanwhile."""
    until = time.monotonic() + 60
    while connection.execute(LOCKED).fetchone() != (len(waiting),):
        assert [process.poll() for process in waiting] == [None] * len(waiting)
        assert time.monotonic() < until
        time.sleep(0.05)
        connection.execute("SELECT pg_stat_clear_snapshot()")


@pytest.mark.processes
def test_several_processes_that_start_at_once_load_the_files_once(
    own_database: dict[str, str],
) -> None:
    code = (
        "import django; django.setup(); from orbit.profiles import reload; reload.load_at_start()"
    )
    environment = {**own_database, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"}
    with psycopg.connect(own_database["DATABASE_URL"]) as connection:
        connection.execute(
            "SELECT 1 FROM orbit_appliedfiles WHERE id = 1 FOR UPDATE"
        )  # so that all of them have seen an empty database
        starting = [
            subprocess.Popen(
                [sys.executable, "-c", code], cwd=database.PROJECT, env=environment, text=True
            )
            for _ in range(3)
        ]
        wait_for_lock(connection, starting)
        connection.commit()
        assert [process.wait(60) for process in starting] == [0, 0, 0]
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM orbit_runprofilerevision), "
            "(SELECT count(*) FROM governance_audittrailentry WHERE action = 'config.reloaded')"
        ).fetchone()
    assert counted == (50, 1)


@pytest.mark.processes
def test_a_reload_waits_for_a_trigger_under_way_and_is_then_refused(
    own_database: dict[str, str],
) -> None:
    with psycopg.connect(own_database["DATABASE_URL"]) as connection:
        connection.execute(
            "SELECT 1 FROM orbit_appliedfiles WHERE id = 1 FOR SHARE"
        )  # as every start of a cycle does
        reloading = subprocess.Popen(
            [sys.executable, "manage.py", "config", "reload", "--json"],
            cwd=database.PROJECT,
            env=own_database,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for_lock(connection, [reloading])
        connection.execute(
            """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash,
            input, input_content_type, input_sha256, next_due_at)
            VALUES (gen_random_uuid(), 'default', 'pending', 'rest', '{}', '',
            '', 'application/json', '', now())"""
        )
        connection.commit()
        answer = json.loads(reloading.communicate(timeout=60)[0])
        assert (answer["code"], reloading.returncode) == ("cycles_active", 4)
        assert connection.execute("SELECT count(*) FROM orbit_profile").fetchone() == (0,)


def test_a_queued_cycle_does_not_refuse_a_reload_and_keeps_its_snapshot(folder: Path) -> None:
    reload.load_at_start()
    queued = active_cycle("eu")
    CycleRun.objects.filter(pk=queued.pk).update(
        status="queued", next_due_at=None, context={"profile_id": "daily"}, profile_revision=1
    )
    write_profiles(folder, [profile(label="New")], [run_profile()])
    assert reload.apply_files(actor=SYSTEM, reason="x").changed == ("profiles/daily",)
    queued.refresh_from_db()
    assert (queued.status, queued.context, queued.profile_revision) == (
        "queued",
        {"profile_id": "daily"},
        1,
    )


def test_cycles_keep_running_on_what_they_snapshot(folder: Path) -> None:
    reload.load_at_start()
    cycle = active_cycle("eu")
    CycleRun.objects.filter(pk=cycle.pk).update(context={"profile_id": "daily"}, profile_revision=1)
    write_profiles(folder, [profile(label="New")], [run_profile()])
    reload.load_at_start()
    cycle.refresh_from_db()
    assert (cycle.context, cycle.profile_revision) == ({"profile_id": "daily"}, 1)
