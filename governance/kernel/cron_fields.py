"""Five cron fields, whether they can be a schedule, their meaning in words; time zones."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Each field's name, how many values it has, and where they start again.
_FIELDS = (
    ("minute", 60, "hour"),
    ("hour", 24, "day"),
    ("day of month", 31, "month"),
    ("month", 12, "year"),
    ("day of week", 7, "week"),
)
_DAY, _MONTH, _WEEKDAY = 2, 3, 4
_SUNDAY = 7
_LAST = {CronSim.LAST: "L", CronSim.LAST_WEEKDAY: "LW"}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_STEP = re.compile(r"/([0-9]+)$")
# Copies of the zones; those of `right` count leap seconds, and PostgreSQL doesn't know them.
_COPIES = {"posix", "posixrules", "right"}
_ERRORS = (CronSimError, AssertionError, IndexError, TypeError, ValueError)


def is_time_zone(name: str) -> bool:
    """Tell whether ``name`` is an IANA time zone."""
    # zoneinfo.available_timezones() reads all 600 files, 13 ms of each start.
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return name.partition("/")[0] not in _COPIES


def problem(cron: str) -> str:
    """Return why ``cron`` can't be a schedule, or an empty text."""
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        instead = _NICKNAMES.get(cron.strip().lower())
        return "Must be five cron fields: minute, hour, day of month, month, day of week." + (
            f" Write {instead}." if instead else ""
        )
    try:
        next(_simulation(fields))
    except StopIteration:
        return "Never fires."
    except _ERRORS as error:
        never = _is_valid([*fields[:_MONTH], "*", *fields[_WEEKDAY:]])
        return "Never fires: no such day." if never else f"Is not a cron expression: {error}."
    for field, (name, size, whole) in zip(fields, _FIELDS, strict=True):
        for term in field.split(","):
            step = _STEP.search(term)
            if step is not None and int(step[1]) > size:
                return (
                    f"The step of `{term}` counts within one {whole}, so it would fire at its first"
                    f" {name} only, not every {step[1]}. Write a step up to {size}, or list the"
                    " values."
                )
    return ""


def in_words(cron: str) -> str:
    """Return in English when ``cron`` fires, or itself if that can't be explained."""
    fields = cron.upper().split()
    try:
        simulation = _simulation(fields)
        described = [
            _described(number, field, values)
            for number, (field, values) in enumerate(zip(fields, _values(simulation), strict=True))
        ]
        words = _simulation(described).explain()
    except _ERRORS:
        return cron
    # cronsim writes "and" where either day is enough.
    either = " if it's on " if simulation.day_and else " or on "
    return re.sub(" (?:and|if it's) on ", either, words, count=1)


def _simulation(fields: list[str]) -> CronSim:
    return CronSim(" ".join(fields), datetime.now(UTC))


def _is_valid(fields: list[str]) -> bool:
    try:
        _simulation(fields)
    except _ERRORS:
        return False
    return True


def _values(simulation: CronSim) -> tuple[set[Any], ...]:
    # Sunday is 0 and 7.
    weekdays = {0 if value == _SUNDAY else value for value in simulation.weekdays}
    return simulation.minutes, simulation.hours, simulation.days, simulation.months, weekdays


def _described(number: int, field: str, values: set[Any]) -> str:
    """Return a field that cronsim explains truly: `*/45` is 0 and 45, not every 45 minutes."""
    size = _FIELDS[number][1]
    if values == set(range(number in (_DAY, _MONTH), size + (number in (_DAY, _MONTH)))):
        return "*"
    step = _STEP.search(field)
    if step is None and not (number == _WEEKDAY and "7" in field):
        return field
    if step and number < _DAY and field == f"*/{step[1]}" and size % int(step[1]) == 0:
        return field if int(step[1]) < size else "0"
    return ",".join(_written(value) for value in sorted(values, key=_order))


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, tuple) or value < 0, value


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        day, nth = value
        return f"{day}L" if nth == CronSim.LAST else f"{day}#{nth}"
    return _LAST.get(value, str(value))
