"""The schedules that the environment asks for."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import clock
from orbit.schedules.cron import CronInvalid, next_after
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES, RUN_PROFILES


def table() -> list[Schedule]:
    """Return the schedules. Raises ImproperlyConfigured for a bad cron."""
    # Run profiles with a cron of their own are added by `sync.RunProfileSchedules`.
    by_variable = [
        (
            "ORBIT_CRON_SCHEDULE",
            Schedule(CYCLES, settings.ORBIT_CRON_SCHEDULE, settings.ORBIT_TIME_ZONE),
        ),
        (
            "ORBIT_RUN_PROFILE_CRON_SCHEDULE",
            Schedule(
                RUN_PROFILES, settings.ORBIT_RUN_PROFILE_CRON_SCHEDULE, settings.ORBIT_TIME_ZONE
            ),
        ),
    ]
    for variable, schedule in by_variable:
        try:
            if schedule.cron:
                next_after(schedule.cron, schedule.time_zone, clock.now())
        except CronInvalid as error:
            raise ImproperlyConfigured(
                f"{variable}: {error.detail} "
                "Write five fields such as `0 0,12 * * *`, or nothing for off."
            ) from error
    return [schedule for _, schedule in by_variable]
