"""A backup brings back archived, dropped and stored days as they were."""

import json
from pathlib import Path
from typing import Any

import pytest

from orbit_site.processes.postgres import Server
from telemetry import database as telemetry_database
from tests.support.backups import call, rows
from tests.support.old_days import days_ago, ingest, run

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(telemetry_database.IS_SEPARATE, reason="a backup is of the main database"),
]
PARTS = "SELECT day::text, part::text FROM telemetry_day_partitions() ORDER BY 1"


def test_a_restore_has_the_archives_and_days_of_the_backup_s_moment(
    server: Server, used: str, elsewhere: str, tmp_path: Path, settings: Any
) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True
    dropped, stored = days_ago(50), days_ago(40)
    for day, count in ((dropped, 3), (stored, 2)):
        ingest(day, count, namespace="eu")
    run(dropped)
    before = rows(server, used, PARTS)
    file = str(tmp_path / "a.backup")
    assert call(server, used, "backup", file)[0] == 0
    run(stored)  # after the backup: the restore brings this day back
    code, _, errors = call(server, elsewhere, "restore", file)
    assert code == 0, errors
    assert rows(server, elsewhere, PARTS) == before
    archives = "SELECT day, namespace, event_count, sha256 FROM telemetry_telemetryarchive"
    assert rows(server, elsewhere, archives) == [
        row for row in rows(server, used, archives) if row[0] == dropped
    ]
    days = "SELECT day FROM telemetry_telemetryday WHERE dropped_at IS NOT NULL"
    assert rows(server, elsewhere, days) == [(dropped,)]
    code, output, errors = call(server, elsewhere, "telemetry", "archive", "verify", "--json")
    assert (code, [found["problem"] for found in json.loads(output)]) == (0, [None]), errors
    # The application's role drops the day there too.
    code, output, errors = call(server, elsewhere, "telemetry", "prune", "--json")
    assert (code, json.loads(output)["dropped"]) == (0, ["2019-02-03", str(stored)]), errors
    counts = "SELECT sum(event_count) FROM telemetry_telemetryarchive"
    assert rows(server, elsewhere, counts) == [(6,)]
