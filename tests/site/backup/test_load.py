"""A restored installation equals the backup; a failed restore changes nothing."""

import json
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.backups import call, catalog, rows, run
from tests.support.clusters import cluster, endpoint
from tests.support.pipeline import configure_profiles, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
DELIVERED = "SELECT delivery_id::text FROM orbit_dispatchjob WHERE status = 'delivered'"


def test_tables_rules_functions_and_grants_are_the_same_afterwards(
    server: Server, used: str, backup: Path, elsewhere: str
) -> None:
    code, output, errors = call(server, elsewhere, "restore", str(backup), "--json")
    assert code == 0, errors
    assert json.loads(output)["cycles_in_flight"] == 3
    before, after = catalog(server, used), catalog(server, elsewhere)
    for what in before:
        assert after[what] == before[what], what
    for table in (
        "orbit_cyclerun",
        "orbit_profile",
        "auth_user",
        "auth_permission",
        "orbit_executionrecord",
        "orbit_recordgroup",
        "orbit_recordgroup_default",
        "orbit_cyclecheckpoint_default",
        "telemetry_telemetryevent_default",
        "django_q_ormq",
    ):
        query = f"SELECT t::text FROM {table} t ORDER BY 1"
        assert rows(server, elsewhere, query) == rows(server, used, query), table


def test_the_trail_goes_on_where_it_ended_with_an_entry_about_the_restore(
    server: Server, used: str, backup: Path, elsewhere: str
) -> None:
    ((head, digest),) = rows(
        server,
        used,
        "SELECT id, previous_hash FROM governance_audittrailentry WHERE action = 'backup.made'",
    )
    assert call(server, elsewhere, "restore", str(backup))[0] == 0
    entries = rows(
        server,
        elsewhere,
        "SELECT id, action, after, previous_hash FROM governance_audittrailentry "
        "ORDER BY id DESC LIMIT 1",
    )
    assert [(entry, action, previous) for entry, action, _, previous in entries] == [
        (head, "backup.restored", digest)
    ]
    assert (entries[0][2]["audit_sequence"], entries[0][2]["audit_hash"]) == (head - 1, digest)


def test_what_is_append_only_stays_so_and_the_application_makes_later_partitions(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    assert call(server, elsewhere, "restore", str(a_backup))[0] == 0
    with psycopg.connect(server.url("orbit_app", elsewhere), autocommit=True) as app:
        partitions = app.execute(
            "SELECT orbit_ensure_partitions('2040-01-01', '2040-02-01'), "
            "telemetry_ensure_partitions('2040-01-01', '2040-01-02')"
        )
        assert partitions.fetchone() == (4, 2)
        moved = app.execute("SELECT orbit_empty_default(), telemetry_empty_default()")
        assert moved.fetchone() == (2, 1)
        app.execute(
            "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token) "
            "VALUES (orbit_uuid_floor('2040-01-15'), 'cycle_started', 1), "
            "(orbit_uuid_floor(now()), 'cycle_started', 1)"
        )
    for role in ("orbit_app", "orbit_owner"):
        with psycopg.connect(server.url(role, elsewhere), autocommit=True) as connection:
            for table in (
                "governance_audittrailentry",
                "orbit_cyclecheckpoint",
                "orbit_cyclecheckpoint_p204001",
            ):
                for change in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(change)
    with psycopg.connect(server.url(SUPERUSER, elsewhere)) as owner:
        owner.execute("CREATE ROLE stranger; SET ROLE stranger")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("SELECT orbit_ensure_partitions('2041-01-01', '2041-02-01')")


def test_a_write_that_commits_while_a_restore_starts_makes_it_refuse(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    assert call(server, elsewhere, "migrate", "--verbosity", "0")[0] == 0
    eve = psycopg.connect(server.url("orbit_owner", elsewhere))
    eve.execute(
        "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, "
        "is_staff, is_active, date_joined) "
        "VALUES ('x', false, 'eve', '', '', '', false, true, now())"
    )
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'auth_user'::regclass"

    def commit() -> None:
        until(lambda: rows(server, elsewhere, waiting) == [(1,)], "the restore doesn't wait")
        eve.commit()

    with eve, ThreadPoolExecutor(1) as pool:
        done = pool.submit(commit)
        code, _, errors = call(server, elsewhere, "restore", str(a_backup))
        done.result()
    assert code != 0
    assert "it has users" in errors
    assert rows(server, elsewhere, "SELECT username FROM auth_user") == [("eve",)]


def test_one_role_for_everything_works_as_well(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    owner_only = {
        "DATABASE_URL": server.url("orbit_owner", elsewhere),
        "ORBIT_OWNER_DATABASE_URL": "",
    }
    code, output, errors = run(server, elsewhere, "restore", str(a_backup), "--json", **owner_only)
    assert (code, errors) == (0, "")
    assert json.loads(output)["cycles_in_flight"] == 3
    assert (
        run(server, elsewhere, "backup", str(a_backup.with_suffix(".again")), **owner_only)[0] == 0
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_cycles_that_were_under_way_end_elsewhere_and_no_recorded_success_is_sent_again(
    server: Server, committed: str, elsewhere: str, tmp_path: Path
) -> None:
    names = [f"r{n}" for n in range(30)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        folder.mkdir()
    variables = {
        "ORBIT_LEASE_SECONDS": "5",
        "ORBIT_WORKERS": "1",
        "ORBIT_CONCURRENCY": "4",
        "ORBIT_MAX_DISPATCH_RETRIES": "20",
    }
    killed = threading.Event()

    def held(sock: socket.socket) -> None:
        """Answer the first requests at once, later ones when their client is gone."""
        if len(sink.requests) > 12:
            killed.wait(90)
        sock.sendall(OK)

    def patient(url: str) -> dict[str, str]:
        (entry,) = json.loads(endpoint(url)["ORBIT_DISPATCH_ENDPOINTS"])
        return {
            **endpoint(url),
            "ORBIT_DISPATCH_ENDPOINTS": json.dumps(
                [{**entry, "read_timeout": 90, "total_timeout": 100}]
            ),
        }

    with Receiver(held) as sink:
        with cluster(server, committed, folders[0], **variables, **patient(sink.url)) as running:
            running.ready(workers=1)
            cycles = {start_cycle(name, f'{{"n":"{name}"}}'.encode()) for name in names}
            until(
                lambda: len(sink.requests) > 14 and rows(server, committed, DELIVERED),
                "nothing is delivered",
            )
            code, output, errors = call(
                server, committed, "backup", str(tmp_path / "a.backup"), "--json"
            )
            assert code == 0, errors
            running.stop(signal.SIGKILL)
        killed.set()
        sent_before = Counter(request.headers["idempotency-key"] for request in sink.requests)
        code, output, errors = call(
            server, elsewhere, "restore", str(tmp_path / "a.backup"), "--json"
        )
        assert code == 0, errors
        report = json.loads(output)
        assert 0 < report["cycles_in_flight"] < len(cycles)
        assert report["attempts_sending"] > 0
        done = {key for (key,) in rows(server, elsewhere, DELIVERED)}
        assert done
        received = len(sink.requests)
        with cluster(server, elsewhere, folders[1], **variables, **patient(sink.url)) as running:
            until(
                lambda: (
                    rows(
                        server,
                        elsewhere,
                        "SELECT count(*) FROM orbit_cyclerun WHERE next_due_at IS NOT NULL",
                    )
                    == [(0,)]
                ),
                "cycles are left",
            )
            running.stop()
            assert running.code() == 0
        later = [request.headers["idempotency-key"] for request in sink.requests[received:]]
    assert not set(later) & done
    assert rows(server, elsewhere, "SELECT status, count(*) FROM orbit_cyclerun GROUP BY 1") == [
        ("success", len(cycles))
    ]
    assert rows(server, elsewhere, "SELECT status, count(*) FROM orbit_dispatchjob GROUP BY 1") == [
        ("delivered", 3 * len(cycles))
    ]
    receipts = dict(
        rows(server, elsewhere, "SELECT status, count(*) FROM orbit_deliveryreceipt GROUP BY 1")
    )
    assert receipts == {"delivered": 3 * len(cycles), "unknown": report["attempts_sending"]}
    assert all(count == 1 for count in Counter(later).values())
    assert max(sent_before.values()) == 1
