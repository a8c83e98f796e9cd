"""How pages and plots show states, times, JSON and bytes, all of it escaped."""

import json
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

#: A state is an icon and a word too, not only a colour.
_LOOKS = {"good": "ok", "part": "part", "bad": "bad", "busy": "run", "waiting": "wait"}
#: For plots, which have text instead of icons.
_SIGNS = {"ok": "\u2713", "part": "\u25d0", "bad": "\u2715", "run": "\u25b8", "wait": "\u00b7"}
_STROKE = 'fill="none" stroke="currentColor" stroke-width="{}"'
_CIRCLE = f'<circle cx="8" cy="8" r="5.4" {_STROKE.format(1.7)}/>'
_ICONS = {
    "ok": f'<path d="M4 8.5l2.8 2.8L12.2 5.6" {_STROKE.format(2)}/>',
    "part": f'{_CIRCLE}<path d="M8 2.6a5.4 5.4 0 0 1 0 10.8z" fill="currentColor"/>',
    "bad": f'<path d="M4.5 4.5l7 7m0-7l-7 7" {_STROKE.format(2)}/>',
    "run": '<path d="M5.2 3.6l7 4.4-7 4.4z" fill="currentColor"/>',
    "wait": f'{_CIRCLE}<path d="M8 5v3.3l2.2 1.4" {_STROKE.format(1.6)}/>',
    "halt": '<path d="M4 3.6h3v8.8H4zm5 0h3v8.8H9z" fill="currentColor"/>',
    "menu": f'<path d="M2.5 4h11m-11 4h11m-11 4h11" {_STROKE.format(1.6)}/>',
    "news": f'<path d="M3.5 11.5h9L11 9.7V7a3 3 0 0 0-6 0v2.7zm3 2h3" {_STROKE.format(1.5)}/>',
}
_STATES = {
    "success": "good",
    "succeeded": "good",
    "delivered": "good",
    "delivered_late": "good",
    "started": "good",
    "enabled": "good",
    "active": "good",
    "intact": "good",
    "acknowledged": "busy",
    "running": "busy",
    "sending": "busy",
    "halting": "part",
    "draining": "part",
    "quiet": "part",
    "partial_success": "part",
    "retrying": "part",
    "partially_succeeded": "part",
    "unknown": "part",
    "missed": "bad",
    "late": "bad",
    "overdue": "bad",
    "warning": "part",
    "unused": "part",
    "failed": "bad",
    "dead": "bad",
    "open": "bad",
    "skipped": "part",
    "halted": "part",
    "paused": "part",
    "invalid": "bad",
    "refused": "bad",
    "error": "bad",
    "broken": "bad",
    "pass": "good",
    "warn": "part",
    "fail": "bad",
    "missing": "bad",
    "incomplete": "part",
    "locked": "bad",
    "approved": "good",
    "confirmed": "good",
    "came_true": "good",
    "did_not": "bad",
    "rolled_back": "part",
    "superseded": "part",
    "expired": "part",
    "elevated_performance": "good",
    "stable": "good",
    "low_performance": "bad",
}
_HEX_BYTES = 512
_JSON_CHARACTERS = 20_000
_SIDE_CHARACTERS = 1_000


def look(state: str | None) -> tuple[str, str]:
    """Return the CSS class and the sign of a state."""
    css_class = _LOOKS[_STATES.get(state or "", "waiting")]
    return css_class, _SIGNS[css_class]


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago ``moment`` is, such as "6 h ago"."""
    return f"{duration(max(1.0, round((now - moment).total_seconds())))} ago"


def duration(seconds: float) -> str:
    """Return a duration with its units: "41 ms", "8.2 s", "2 min 31 s", "3 h 5 min"."""
    if 0 < seconds < 0.0005:
        return "< 1 ms"
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, name, smaller, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"


def utc(value: datetime) -> str:
    """Return a time for the attribute ``datetime``."""
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def moment(value: datetime) -> SafeString:
    """Return a time to the second in the user's zone, which it names."""
    return time(value, "%Y-%m-%d %H:%M:%S %Z")


def time(value: datetime, layout: str, *, cut: int = 0) -> SafeString:
    """Return a time in the user's zone, without the last ``cut`` characters."""
    text = f"{timezone.localtime(value):{layout}}"
    return format_html('<time datetime="{}">{}</time>', utc(value), text[: len(text) - cut])


def badge(state: str | None) -> SafeString:
    """Return a state as icon, word and colour."""
    word = (state or "-").lower()
    return mark(look(word)[0], word.replace("_", " "))


def mark(style: str, word: str) -> SafeString:
    """Return ``word`` with the icon and the colour of ``style`` (ok, part, bad, run or wait)."""
    return format_html('<span class="state {}">{} {}</span>', style, icon(style), word)


def icon(name: str) -> SafeString:
    """Return an icon, hidden from screen readers: a word stands beside it."""
    return SafeString(
        f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>'
    )


def json_block(value: Any) -> SafeString:
    """Return a JSON value on lines, cut if very long."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text) > _JSON_CHARACTERS:
        text = text[:_JSON_CHARACTERS] + "\n... cut here"
    return block(text)


def block(text: str | None) -> SafeString:
    """Return a text with its line breaks; "-" for None."""
    if text is None:
        return badge(None)
    return format_html('<pre class="data" tabindex="0">{}</pre>', text)


def side(value: Any) -> str:
    """Return a side of a difference as JSON on one line; "-" if absent."""
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    except TypeError:
        return "-"
    return text if len(text) <= _SIDE_CHARACTERS else text[:_SIDE_CHARACTERS] + " ... cut here"


def readable(data: bytes, *, size: int) -> str:
    """Return the first bytes of a body as text, or as hexadecimal."""
    text = _text(data, whole=len(data) >= size)
    part = data if text is not None else data[:_HEX_BYTES]
    more = size - len(part)
    return (text if text is not None else _hex(part)) + (
        f"\n... {more:,} more bytes" if more > 0 else ""
    )


def _text(data: bytes, *, whole: bool) -> str | None:
    # A part may end inside a character, which has at most 4 bytes.
    for cut in range(1 if whole else 4):
        try:
            text = data[: len(data) - cut].decode("utf-8")
        except UnicodeError:
            continue
        return (
            text
            if all(character.isprintable() or character in "\n\r\t" for character in text)
            else None
        )
    return None


def _hex(data: bytes) -> str:
    return "\n".join(
        f"{place:06x}  {data[place : place + 16].hex(' ')}" for place in range(0, len(data), 16)
    )
