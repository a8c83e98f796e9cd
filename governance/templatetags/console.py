"""Template tags and filters of the console."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from governance.console import display
from governance.console import gantt as plot

register = template.Library()


@register.simple_tag
def badge(state: str | None) -> SafeString:
    """Show a state as icon, word and colour."""
    return display.badge(state)


@register.simple_tag
def mark(look: str, word: str) -> SafeString:
    """Show a word with the icon and the colour of a look: ok, part, bad, run or wait."""
    return display.mark(look, word)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Show an icon beside a word."""
    return display.icon(name)


@register.simple_tag
def readable(data: bytes, size: int) -> str:
    """Show the start of a body as text, or in hexadecimal."""
    return display.readable(data, size=size)


@register.simple_tag
def json_block(value: Any) -> SafeString:
    """Show a JSON value on lines."""
    return display.json_block(value)


@register.inclusion_tag("console/_gantt.html")
def gantt(chart: plot.Gantt) -> dict[str, Any]:
    """Draw a Gantt plot, with its data as a table."""
    return {"plot": plot.layout(chart)}


@register.filter
def duration(seconds: float | None) -> str:
    """Show a duration with its units."""
    return "-" if seconds is None else display.duration(seconds)


@register.filter
def side(value: Any) -> str:
    """Show a side of a difference as JSON."""
    return display.side(value)


@register.filter
def plain(value: Decimal) -> str:
    """Show a quantity without trailing zeros."""
    return f"{value.normalize():f}"


@register.filter
def moment(value: datetime | None) -> str:
    """Show a time to the second, with its zone."""
    return "-" if value is None else f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}"


@register.filter
def utc(value: datetime) -> str:
    """Return a time for the attribute ``datetime``."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@register.filter
def time_of_day(value: datetime) -> str:
    """Show a time of day to the second."""
    return f"{timezone.localtime(value):%H:%M:%S}"


@register.filter
def clock(value: datetime | None) -> str:
    """Show a time of day to the millisecond."""
    return "-" if value is None else f"{timezone.localtime(value):%H:%M:%S.%f}"[:-3]


@register.filter
def until(value: datetime, now: datetime) -> str:
    """Show the time from ``now`` until ``value``."""
    return display.duration((value - now).total_seconds())


@register.filter
def item(values: Mapping[Any, Any], key: Any) -> Any:
    """Return the value of ``key``; None without one."""
    return values.get(key)


@register.filter
def pairs(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return names and values; of JSON, which may have an "items" of its own."""
    return list(values.items())


@register.filter
def after(value: datetime, start: datetime) -> str:
    """Show the seconds since ``start``."""
    return f"{(value - start).total_seconds():.2f} s"


@register.filter
def time_of(value: str | None) -> datetime | None:
    """Parse a time from JSON."""
    return datetime.fromisoformat(value) if value else None


@register.filter
def grouped(value: int) -> str:
    """Show a number with its thousands apart."""
    return f"{value:,}"
