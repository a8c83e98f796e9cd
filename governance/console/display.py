"""How values look in the console: states, JSON, bytes. Everything is escaped here or by the template."""

import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

#: state -> (class, sign): a state is a sign and a word before it is a colour.
_LOOKS = {
    "good": ("ok", "✓"),
    "part": ("part", "!"),
    "bad": ("bad", "✕"),
    "busy": ("run", "▸"),
    "waiting": ("wait", "…"),
}
_STATES = {
    "success": "good",
    "delivered": "good",
    "delivered_late": "good",
    "started": "good",
    "enabled": "good",
    "running": "busy",
    "sending": "busy",
    "halting": "part",
    "draining": "part",
    "quiet": "part",
    "partial_success": "part",
    "unknown": "part",
    "missed": "part",
    "late": "part",
    "warning": "part",
    "failed": "bad",
    "dead": "bad",
    "open": "bad",
    "refused": "bad",
    "error": "bad",
}
_HEX_BYTES = 512
_JSON_CHARACTERS = 20_000


def badge(state: str | None) -> SafeString:
    """Return a state as sign, word and colour."""
    look, sign = _LOOKS[_STATES.get(state or "", "waiting")]
    return format_html('<span class="state {}"><span aria-hidden="true">{}</span> {}</span>', look, sign, (state or "-").replace("_", " "))


def json_block(value: Any) -> SafeString:
    """Return a JSON value laid out on lines, cut where it is very long."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    if len(text) > _JSON_CHARACTERS:
        text = text[:_JSON_CHARACTERS] + "\n... cut here"
    return format_html('<pre class="data" tabindex="0">{}</pre>', text)


def readable(data: bytes, *, size: int) -> str:
    """Return the first bytes of something of ``size`` as text if they are text, else as hexadecimal lines, with a note where it goes on."""
    shown = data
    try:
        # The last character may be cut in two.
        text = data.decode("utf-8") if len(data) >= size else data.decode("utf-8", "ignore")
        if len(data) < size and len(data) - len(text.encode()) > 3:
            raise UnicodeError
    except UnicodeError:
        shown = data[:_HEX_BYTES]
        text = _hex(shown)
    if any(not (character.isprintable() or character in "\n\r\t") for character in text):
        shown = data[:_HEX_BYTES]
        text = _hex(shown)
    more = size - len(shown)
    return text + (f"\n... {more:,} more bytes" if more > 0 else "")


def _hex(data: bytes) -> str:
    return "\n".join(f"{place:06x}  {data[place : place + 16].hex(' ')}" for place in range(0, len(data), 16))
