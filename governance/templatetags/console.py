"""Template tags and filters of the console."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html, strip_tags
from django.utils.safestring import SafeString, mark_safe

from governance import display
from governance.plots import gantt as plot

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


@register.filter
def commands(text: str) -> SafeString:
    """Show what a sentence has between backticks as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped


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
    """Draw a Gantt plot for screens and for phones, with its data as a table."""
    wide, phone = plot.layout(chart), plot.layout(chart, plot.PHONE)
    return {"plot": wide, "drawings": [("wide", wide), ("phone", phone)]}


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
    return "-" if value is None else display.moment(value)


@register.filter
def utc(value: datetime) -> str:
    """Return a time for the attribute ``datetime``."""
    return display.utc(value)


@register.filter
def time_of_day(value: datetime) -> str:
    """Show a time of day to the second."""
    return f"{timezone.localtime(value):%H:%M:%S}"


@register.filter
def clock(value: datetime | None) -> str:
    """Show a time of day to the millisecond."""
    return "-" if value is None else display.time(value, "%H:%M:%S.%f", cut=3)


@register.filter
def until(value: datetime, now: datetime) -> str:
    """Show the time from ``now`` until ``value``."""
    return display.duration((value - now).total_seconds())


@register.filter
def item(values: Mapping[Any, Any], key: Any) -> Any:
    """Return the value of ``key``; None without one."""
    return values.get(key)


@register.filter
def pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names and values of a JSON object, without those that are null."""
    return [
        (name, value if isinstance(value, str) else display.side(value))
        for name, value in values.items()
        if value is not None
    ]


@register.filter
def after(value: datetime, start: datetime) -> str:
    """Show the seconds since ``start``."""
    return f"{(value - start).total_seconds():.2f} s"


@register.filter
def ago(value: datetime, now: datetime | None = None) -> str:
    """Show how long ago a time is; ``now`` None: at this moment."""
    return display.ago(value, now or timezone.now())


@register.filter
def time_of(value: str | None) -> datetime | None:
    """Parse a time from JSON."""
    return datetime.fromisoformat(value) if value else None


@register.filter
def labelled(cells: list[str], headers: list[dict[str, Any]]) -> list[SafeString]:
    """Give each cell of a list's row its column's title, which it shows as a card on a phone."""
    titles = [strip_tags(header["text"]).strip() for header in headers]
    return [
        # Django's cells begin with "<td" or "<th".
        SafeString(cell[:3] + format_html(' data-l="{}"', title[:1].upper() + title[1:]) + cell[3:])
        for cell, title in zip(cells, titles, strict=True)
    ]


@register.filter
def grouped(value: int) -> str:
    """Show a number with its thousands apart."""
    return f"{value:,}"
