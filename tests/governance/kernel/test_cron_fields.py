"""Which crons are refused, and that a description is true."""

import os
import subprocess
import sys

import pytest

from governance.access.actors import SYSTEM
from governance.kernel import cron_fields
from orbit.profiles import schema
from orbit.schedules import change
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule
from orbit.schedules.sync import sync
from tests.support import database


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "0 0,12 * * *", "0 0 29 2 *", "*/7 3-5 L * MON", "*/60 */24 */31 */12 */7"],
)
def test_a_schedule_that_fires_has_no_problem(cron: str) -> None:
    assert cron_fields.problem(cron) == ""


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("*/90 * * * *", "The step of `*/90` counts within one hour"),
        ("5,10-59/61 * * * *", "The step of `10-59/61` counts within one hour"),
        ("0 */25 * * *", "within one day, so it would fire at its first hour only, not every 25"),
        ("0 0 */32 * *", "within one month"),
        ("0 0 1 */18 *", "within one year"),
        ("0 0 * * */14", "within one week"),
        ("0 0 31 2 *", "Never fires"),
        ("0 0 30 2 *", "Never fires"),
        ("0 0 31 4,6 *", "Never fires"),
        ("60 * * * *", "Bad minute"),
        ("*/0 * * * *", "Bad minute"),
        ("0 0 32 * *", "Bad day-of-month"),
        ("@daily", "Write 0 0 * * *"),
        ("@reboot", "five cron fields"),
        ("0 0 12 1 1 *", "five cron fields"),
        ("", "five cron fields"),
        ("*/" + "9" * 5000 + " * * * *", "Is not a cron expression"),
    ],
    ids=lambda value: value[:30],
)
def test_a_cron_that_can_t_mean_what_it_says_is_refused(cron: str, words: str) -> None:
    assert words in cron_fields.problem(cron)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 6 * * *", "At 06:00 every day"),
        ("*/15 * * * *", "Every 15th minute of every hour"),
        ("*/45 * * * *", "At minutes 0 and 45 of every hour"),
        ("*/60 * * * *", "At the start of every hour"),
        ("*/90 * * * *", "At the start of every hour"),
        ("5-5/20 * * * *", "At minutes 5, 25, and 45 of every hour"),
        ("0 */5 * * *", "At minute 0 past hours 0, 5, 10, 15, and 20"),
        ("0 */6 * * *", "At minute 0 past every sixth hour"),
        ("0 0 1 */5 *", "At 00:00 on the first day of January, June, and November"),
        ("0 0 * * */2", "At 00:00 on Sunday, Tuesday, Thursday, and Saturday"),
        ("0 0 * * 0,7", "At 00:00 on Sunday"),
        ("0 0 13 * 5", "At 00:00 on the 13th day of month or on Friday"),
        ("0 0 */10 * 5", "At 00:00 on the first, the 11th, the 21th, and the 31th day of month"),
        ("0 0 13 * */6", "At 00:00 on the 13th day of month if it's on Sunday and Saturday"),
        ("0 0 L/3 * *", "At 00:00 on the last day of every month"),
        ("0 0 * * MON#2,FRI/7", "At 00:00 on Friday and the second Monday of the month"),
        ("0 6 * jan mon", "At 06:00 on Monday in January"),
        ("rubbish", "rubbish"),
        ("0 0 31 2 *", "0 0 31 2 *"),
    ],
)
def test_a_description_is_true(cron: str, words: str) -> None:
    assert cron_fields.in_words(cron).startswith(words)


def test_the_environment_the_documents_and_the_console_refuse_the_same(
    db: None,
) -> None:
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=database.PROJECT,
        env={**os.environ, "ORBIT_ENV": "test", "ORBIT_CRON_SCHEDULE": "*/90 * * * *"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    problem = cron_fields.problem("*/90 * * * *")
    assert started.returncode != 0
    assert f"ORBIT_CRON_SCHEDULE='*/90 * * * *' can't be used. {problem}" in started.stderr
    document = {
        "run_profile_id": "r",
        "profile_id": "p",
        "namespace": "a",
        "state": "enabled",
        "execution_policy": {"cron": "*/90 * * * *"},
    }
    assert schema.run_profile_problems(document, profiles=None, endpoints=None) == [
        {"pointer": "/execution_policy/cron", "detail": problem}
    ]
    sync([Schedule("cycles", "0 12 * * *", "UTC")])
    with pytest.raises(CronInvalid) as exc_info:
        change.set_cron("cycles", cron="*/90 * * * *", actor=SYSTEM, reason="x")
    assert exc_info.value.detail == problem


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "EST5EDT"])
def test_names_of_time_zones(name: str) -> None:
    assert cron_fields.is_time_zone(name)


@pytest.mark.parametrize(
    "name",
    ["", " UTC", "Europe", "Europe/", "Mars/Base", "../etc/passwd", "/etc/localtime", "a\0b",
     "x" * 300, "\udc80", "zone.tab", "tzdata.zi", "right/UTC", "posix/UTC", "posixrules"],
)  # fmt: skip
def test_what_is_no_time_zone(name: str) -> None:
    assert not cron_fields.is_time_zone(name)
