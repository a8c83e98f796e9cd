"""``manage.py alerts``, ``alerts acknowledge ID``."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.alerts import acknowledge, listing
from governance.alerts.listing import AlertUnknown
from governance.kernel.commands import OrbitCommand

_COLUMNS = "{id:<38}{since:<22}{state:<14}{summary}"
_MOST = 1_000


class Command(OrbitCommand):
    help = "Lists alerts, the newest first; `alerts acknowledge ID` says that you look after one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "words", nargs="*", metavar="acknowledge ID", help="Left out: alerts are listed."
        )
        parser.add_argument("--open", action="store_true", help="Only those that aren't resolved.")
        parser.add_argument("--reason", default="", help="Why it is acknowledged.")
        parser.add_argument("--limit", type=int, default=50, help=f"How many (50; at most {_MOST})")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        words: list[str] = options["words"]
        if not words:
            self._list(options)
            return
        alert = acknowledge.acknowledge(
            _read(words), actor=actors.operator(), reason=options["reason"]
        )
        if options["json"]:
            self.print_json(listing.to_dict(alert))
        else:
            self.say(f"Acknowledged by {alert.acknowledged_by}: {alert.summary}")

    def _list(self, options: dict[str, Any]) -> None:
        alerts = listing.visible(actors.operator())
        if options["open"]:
            alerts = alerts.filter(resolved_at__isnull=True)
        rows = [listing.to_dict(alert) for alert in alerts[: max(1, min(options["limit"], _MOST))]]
        if options["json"]:
            self.print_json({"results": rows})
            return
        if not rows:
            self.say("No alerts." if not options["open"] else "No open alerts.")
            return
        self.say_row(_COLUMNS, id="alert", since="since (UTC)", state="state", summary="summary")
        for row in rows:
            self.say_row(
                _COLUMNS,
                id=str(row["id"]),
                since=f"{row['first_seen']:%Y-%m-%d %H:%M:%S}",
                state=_state(row),
                summary=row["summary"],
            )


def _state(row: dict[str, Any]) -> str:
    if row["resolved_at"] is not None:
        return "resolved"
    return "acknowledged" if row["acknowledged_at"] is not None else "open"


def _read(words: list[str]) -> UUID:
    try:
        if len(words) == 2 and words[0] == "acknowledge":
            return UUID(words[1])
    except ValueError:
        pass
    text = " ".join(words)[:200]
    raise AlertUnknown(f"{text!r} names no alert. Write `alerts acknowledge ID`.")
