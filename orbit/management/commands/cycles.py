"""``manage.py cycles``: list the newest cycles."""

import time
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from orbit.cycles import detail
from orbit.models import CycleRun

_COLUMNS = "{id:<37}{namespace:<17}{status:<17}{trigger:<9}{run_profile_id:<25}{created_at}"
_POLL_SECONDS = 1.0
_MAX_LISTED = 1000


class Command(OrbitCommand):
    help = "Lists the newest cycles."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--watch",
            action="store_true",
            help="Print each cycle again when its status changes, until Ctrl-C.",
        )
        parser.add_argument(
            "--limit", type=int, default=20, help=f"How many (20; at most {_MAX_LISTED})."
        )
        parser.add_argument(
            "--json", action="store_true", help="With --watch: one document per line."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limit = max(1, min(options["limit"], _MAX_LISTED))
        if options["watch"]:
            self._watch(limit, json=options["json"])
        rows = _newest(limit)
        if options["json"]:
            self.print_json({"results": rows})
        else:
            self._print_head()
            self._print(rows)

    def _watch(self, limit: int, *, json: bool) -> None:
        if not json:
            self._print_head()
        statuses: dict[str, str] = {}
        while True:
            # The newest last, as in a log.
            rows = _newest(limit)[::-1]
            changed = [row for row in rows if statuses.get(row["id"]) != row["status"]]
            if json:
                for row in changed:
                    self.print_json(row)
            else:
                self._print(changed)
            statuses = {row["id"]: row["status"] for row in rows}
            self.stdout.flush()
            time.sleep(_POLL_SECONDS)

    def _print_head(self) -> None:
        self.say_row(
            _COLUMNS,
            id="cycle",
            namespace="namespace",
            status="status",
            trigger="trigger",
            run_profile_id="run profile",
            created_at="created",
        )

    def _print(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            created = f"{row['created_at']:%Y-%m-%d %H:%M:%S}"
            run_profile = row["run_profile_id"] or "-"
            self.say_row(_COLUMNS, **row | {"run_profile_id": run_profile, "created_at": created})


def _newest(limit: int) -> list[dict[str, Any]]:
    return [_to_dict(cycle) for cycle in detail.matching(actors.operator())[:limit]]


def _to_dict(cycle: CycleRun) -> dict[str, Any]:
    return {
        "id": str(cycle.pk),
        "namespace": cycle.namespace_id,
        "status": cycle.status,
        "trigger": cycle.trigger,
        "run_profile_id": cycle.run_profile_id,
        "created_at": cycle.created_at,
        "finished_at": cycle.finished_at,
    }
