"""When a cron expression is true, through clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest

from orbit.schedules import cron
from orbit.schedules.cron import CronInvalid

BERLIN = "Europe/Berlin"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def local(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(BERLIN), fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]


def on_day(expression: str, begin: datetime, zone: str = BERLIN) -> list[datetime]:
    return list(
        takewhile(
            lambda moment: moment < begin + timedelta(hours=25),
            cron.occurrences(expression, zone, begin - timedelta(seconds=1)),
        )
    )


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "0 * * * * *",
        "61 * * * *",
        "* * * * MON#9",
        "L/2 * * * *",
        "0 0 30 2 *",
        "@daily",
        "no cron at all !",
    ],
)
def test_an_invalid_cron_or_one_that_never_fires_is_refused(expression: str) -> None:
    with pytest.raises(CronInvalid):
        cron.next_after(expression, "UTC", NOON)


def test_occurrences_follow_the_zone() -> None:
    assert cron.next_after("0 6 * * *", BERLIN, NOON) == datetime(2026, 6, 2, 4, tzinfo=UTC)


def test_the_hour_that_is_missing_in_spring_fires_once_at_the_next_valid_minute() -> None:
    assert on_day("30 2 * * *", local(2026, 3, 29))[:1] == [local(2026, 3, 29, 3, 0)]
    assert len(on_day("30 2 * * *", local(2026, 3, 29))) == 1
    assert on_day("0-59 2 * * *", local(2026, 3, 29))[0] == local(2026, 3, 29, 3, 0)
    assert (
        len(
            [
                moment
                for moment in on_day("0-59 2 * * *", local(2026, 3, 29))
                if moment < local(2026, 3, 30)
            ]
        )
        == 1
    )


def test_the_hour_that_comes_twice_in_autumn_fires_once() -> None:
    first = local(2026, 10, 25, 2, 30, fold=0)
    assert [
        moment
        for moment in on_day("30 2 * * *", local(2026, 10, 25))
        if moment < local(2026, 10, 26)
    ] == [first]
    for minutes in range(0, 90, 10):
        after = first + timedelta(minutes=minutes)
        assert cron.next_after("30 2 * * *", BERLIN, after) == local(2026, 10, 26, 2, 30)


def test_every_real_half_hour_counts_with_a_star() -> None:
    begin = local(2026, 10, 25)
    halves = [moment for moment in on_day("*/30 * * * *", begin) if moment < local(2026, 10, 26)]
    assert halves == [begin + timedelta(minutes=30 * step) for step in range(50)]
    begin = local(2026, 3, 29)
    assert (
        len([moment for moment in on_day("*/30 * * * *", begin) if moment < local(2026, 3, 30)])
        == 46
    )


def test_the_key_is_the_local_time_with_fixed_hours_and_the_instant_with_a_star() -> None:
    first, second = local(2026, 10, 25, 2, 30, fold=0), local(2026, 10, 25, 2, 30, fold=1)
    assert (
        cron.tick_key("30 2 * * *", BERLIN, first)
        == cron.tick_key("30 2 * * *", BERLIN, second)
        == "2026-10-25T02:30"
    )
    assert [cron.tick_key("*/30 * * * *", BERLIN, moment) for moment in (first, second)] == [
        "2026-10-25T00:30Z",
        "2026-10-25T01:30Z",
    ]
    assert cron.tick_key("30 * * * *", BERLIN, first).endswith("Z")


@pytest.mark.parametrize(
    "zone", [BERLIN, "America/New_York", "Africa/Cairo", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "0 0 * * *", "*/20 * * * *", "15 */3 * * *", "0 1,2,3 * * 0"]
)
def test_no_two_ticks_of_a_year_share_a_key_or_go_back(expression: str, zone: str) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    moments = list(
        takewhile(
            lambda moment: moment < begin + timedelta(days=365),
            cron.occurrences(expression, zone, begin),
        )
    )
    assert moments == sorted(set(moments))
    assert len({cron.tick_key(expression, zone, moment) for moment in moments}) == len(moments) > 51


def test_a_year_of_ticks_is_walked_without_a_gap() -> None:
    moments = list(islice(cron.occurrences("0 6 * * *", BERLIN, NOON), 365))
    assert {(moment.astimezone(ZoneInfo(BERLIN)).hour) for moment in moments} == {6}
    assert moments[-1] - moments[0] == timedelta(days=364)


def test_the_next_times_are_as_many_as_requested() -> None:
    assert cron.upcoming("0 6 * * *", "UTC", NOON, 3) == [
        NOON.replace(day=day, hour=6) for day in (2, 3, 4)
    ]
    with pytest.raises(CronInvalid):
        cron.upcoming("0 0 30 2 *", "UTC", NOON, 3)


def test_the_latest_time_is_found_even_years_ago() -> None:
    assert cron.latest("* * * * *", "UTC", NOON) == NOON
    assert cron.latest("0 6 * * *", BERLIN, NOON) == NOON.replace(hour=4)
    assert cron.latest("0 0 29 2 *", "UTC", NOON) == datetime(2024, 2, 29, tzinfo=UTC)
    assert cron.latest("0 6 * * *", BERLIN, NOON, since=NOON.replace(hour=5)) is None
