"""``check --deploy`` looks at telemetry's own database too."""

from typing import Any

import pytest
from django.db import connections

from orbit_site import checks
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.read_only import set_read_only

VARIABLE = "ORBIT_TELEMETRY_DATABASE_URL"


def findings() -> dict[str | None, str]:
    return {item.id: item.msg for item in checks.second_database_of_production()}


@pytest.mark.usefixtures("committed")
def test_a_database_that_is_read_only_or_away_is_reported_by_its_variable(
    committed: str, server: Server, settings: Any
) -> None:
    name = database.second(committed)
    set_read_only(server, name, on=True)
    connections["telemetry"].close()
    assert VARIABLE in findings()["orbit.W016"]
    set_read_only(server, name, on=False)
    connections["telemetry"].close()
    assert "orbit.W016" not in findings()
    settings.DATABASES["telemetry"]["HOST"] = "db.example.com"
    assert VARIABLE in findings()["orbit.W018"]
    settings.DATABASES["telemetry"]["HOST"] = server.host
    connections["telemetry"].close()
    connections["telemetry"].settings_dict["NAME"] = "nowhere"
    [(number, text)] = findings().items()
    assert (number, VARIABLE in text) == ("orbit.W014", True)
