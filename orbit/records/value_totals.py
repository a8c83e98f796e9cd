"""Totals of the value ledger per tag and period, in UTC."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from urllib.parse import urlencode

from django.utils.safestring import SafeString

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import clock, csv_text, sql
from governance.kernel.errors import Kind, OrbitError
from governance.plots import charts

LIMIT = 10_000
_MOST_TAGS = 4
_LOOKS = ("run", "ok", "part", "wait")

SUM = sql.load(__name__, "sum_value_ledger")


class Period(StrEnum):
    """The length of a period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


#: The longest range, and the default one.
LONGEST = {
    Period.DAY: timedelta(days=400),
    Period.WEEK: timedelta(days=5 * 366),
    Period.MONTH: timedelta(days=20 * 366),
}
USUAL = {
    Period.DAY: timedelta(days=30),
    Period.WEEK: timedelta(days=26 * 7),
    Period.MONTH: timedelta(days=2 * 366),
}


class RangeInvalid(OrbitError):
    """This range of time is too long, or empty."""

    code, kind = "invalid_range", Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class Total:
    """The quantity of one tag in the period from ``begins`` (YYYY-MM-DD)."""

    begins: str
    kind: str
    tag: str
    unit: str
    quantity: Decimal
    cycles: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a range, the latest first. ``more``: beyond ``LIMIT``."""

    period: Period
    since: datetime
    until: datetime
    rows: list[Total]
    more: bool
    #: What they were asked for, as the query of the file's address.
    query: str = ""

    @property
    def plot(self) -> SafeString | None:
        """A plot of what ``bars`` returns."""
        return plot(self)


def totals(
    *,
    actor: Actor,
    period: Period,
    since: datetime | None = None,
    until: datetime | None = None,
    namespace: str | None = None,
    tag: str | None = None,
) -> Totals:
    """Return totals of what ``actor`` sees in a range. Raises RangeInvalid."""
    actor.require(Scope.READ)
    until = until or clock.now()
    since = since or max(until - USUAL[period], datetime(1970, 1, 1, tzinfo=UTC))
    if not timedelta(0) < until - since <= LONGEST[period]:
        raise RangeInvalid(
            f"from must be before to, by at most {LONGEST[period].days} days for "
            f"totals by {period}."
        )
    rows = SUM.rows(
        period=str(period),
        since=since,
        until=until,
        namespaces=_visible(actor, namespace),
        tag=tag,
        limit=LIMIT + 1,
    )
    totals_by_period = [Total(begins.isoformat(), *rest) for begins, *rest in rows]
    return Totals(period, since, until, totals_by_period[:LIMIT], len(totals_by_period) > LIMIT)


def of_list(query: Mapping[str, str], *, actor: Actor) -> Totals:
    """Return the totals by the conditions of a list, so that both agree."""
    chosen = query.get("period", "")
    period = Period(chosen) if chosen in set(Period) else Period.DAY
    namespace = query.get("namespace") or None
    tag = query.get("tag__exact") or query.get("tag") or None
    conditions = {"period": period, "namespace": namespace, "tag": tag}
    link = urlencode({name: value for name, value in conditions.items() if value})
    result = totals(actor=actor, period=period, namespace=namespace, tag=tag)
    return replace(result, query=link)


@dataclass(frozen=True, slots=True)
class Bars:
    """The tags with the most of a unit, and their whole quantities in each period."""

    unit: str
    tags: list[str]
    periods: list[tuple[date, list[int]]]


def bars(totals: Totals) -> Bars | None:
    """Return what a plot of ``totals`` shows: of the unit that most rows have, four tags."""
    units = Counter(row.unit for row in totals.rows)
    if not units:
        return None
    unit = units.most_common(1)[0][0]
    sums: Counter[str] = Counter()
    quantities: Counter[tuple[str, str]] = Counter()
    for row in totals.rows:
        if row.unit == unit:
            sums[row.tag] += round(row.quantity)
            quantities[row.begins, row.tag] += round(row.quantity)
    tags = [tag for tag, _ in sums.most_common(_MOST_TAGS)]
    days = _starts(totals)
    return Bars(
        unit, tags, [(day, [quantities[day.isoformat(), tag] for tag in tags]) for day in days]
    )


def plot(totals: Totals) -> SafeString | None:
    """Draw what ``bars`` returns."""
    shares = bars(totals)
    if shares is None:
        return None
    columns = [
        charts.Column(f"{day.day} {day:%b}", day.isoformat(), tuple(quantities))
        for day, quantities in shares.periods
    ]
    series = [charts.Series(tag, look) for tag, look in zip(shares.tags, _LOOKS, strict=False)]
    return charts.bars(columns, series=series, title=f"{shares.unit} per {totals.period}")


def _starts(totals: Totals) -> list[date]:
    """Return the first day of each period of the range, also of those without an entry."""
    day, last = totals.since.astimezone(UTC).date(), totals.until.astimezone(UTC).date()
    firsts = {
        _first_day(totals.period, day + timedelta(number))
        for number in range((last - day).days + 1)
    }
    return sorted(firsts)


def _first_day(period: Period, day: date) -> date:
    if period is Period.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period is Period.WEEK else day


def _visible(actor: Actor, namespace: str | None) -> list[str] | None:
    if namespace is None:
        return None if actor.namespaces is None else sorted(actor.namespaces)
    return [namespace] if actor.sees(namespace) else []


def as_csv(rows: Iterable[Total]) -> str:
    """Return ``rows`` as CSV (RFC 4180) that is safe in a spreadsheet."""
    header = [field.name for field in fields(Total)]
    return csv_text.lines([header, *(astuple(row) for row in rows)])


def plain(value: Decimal) -> str:
    """Return a quantity without trailing zeros."""
    return f"{value.normalize():f}"
