"""Web and clusters start without telemetry's own database, but not on one that isn't migrated."""

import psycopg
import pytest
from django.db import connections

from orbit_site.processes import pending_migrations
from orbit_site.processes.postgres import Server
from tests.support import database

LAST = "DELETE FROM django_migrations WHERE name = (SELECT max(name) FROM django_migrations)"


def test_one_that_lacks_migrations_is_refused(committed: str, server: Server) -> None:
    pending_migrations.refuse()
    with psycopg.connect(server.url("orbit_owner", database.second(committed))) as second:
        second.execute(LAST)
    with pytest.raises(pending_migrations.Unmigrated) as refused:
        pending_migrations.refuse()
    assert refused.value.detail.startswith(
        "The database of ORBIT_TELEMETRY_DATABASE_URL lacks 1 migrations (telemetry."
    )


@pytest.mark.usefixtures("committed")
def test_one_that_is_away_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    connections["telemetry"].close()
    connections["telemetry"].settings_dict["NAME"] = "nowhere"
    pending_migrations.refuse()
    [record] = caplog.records
    assert "The database of ORBIT_TELEMETRY_DATABASE_URL is away" in record.getMessage()
