from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from orbit_site import schedules


def test_the_cycles_follow_the_environment(settings: Any) -> None:
    settings.ORBIT_CRON_SCHEDULE, settings.ORBIT_TIME_ZONE = "5 4 * * *", "Europe/Berlin"
    settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE = "*/5 * * * *"
    table = [(schedule.name, schedule.cron, schedule.time_zone) for schedule in schedules.table()]
    assert table == [
        ("cycles", "5 4 * * *", "Europe/Berlin"),
        ("run-profiles", "*/5 * * * *", "Europe/Berlin"),
    ]


@pytest.mark.parametrize("variable", ["ORBIT_CRON_SCHEDULE", "ORBIT_RUN_PROFILE_CRON_SCHEDULE"])
def test_a_cron_that_cannot_be_read_is_refused_by_the_name_of_its_variable(
    settings: Any, variable: str
) -> None:
    setattr(settings, variable, "0 25 * * *")
    with pytest.raises(ImproperlyConfigured, match=rf"{variable}: .*0 25 \* \* \*"):
        schedules.table()


def test_an_empty_cron_is_off_and_no_mistake(settings: Any) -> None:
    settings.ORBIT_CRON_SCHEDULE = ""
    assert schedules.table()[0].cron == ""
