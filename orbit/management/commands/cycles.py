"""``manage.py cycles``."""

import time
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from orbit.cycles import detail
from orbit.models import CycleRun

_COLUMNS = "{id:<37}{namespace:<17}{status:<17}{trigger:<9}{run_profile_id:<25}{created_at}"
_WATCH_SECONDS = 1.0


class Command(OrbitCommand):
    help = "Lists the newest cycles."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--watch",
            action="store_true",
            help="Go on: print each cycle again whenever its status changes. Ctrl-C ends it.",
        )
        parser.add_argument("--limit", type=int, default=20, help="How many (20; at most 1000).")
        parser.add_argument(
            "--json", action="store_true", help="With --watch: one document per line."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limit = max(1, min(options["limit"], 1000))
        if not options["watch"]:
            rows = [_row(cycle) for cycle in _newest(limit)]
            if options["json"]:
                self.print_json({"results": rows})
            else:
                self._print(rows)
            return
        seen: dict[str, str] = {}
        while True:
            rows = [_row(cycle) for cycle in reversed(_newest(limit))]
            fresh = [row for row in rows if seen.get(row["id"]) != row["status"]]
            if options["json"]:
                for row in fresh:
                    self.print_json(row)
            else:
                self._print(fresh, head=not seen)
            seen = {row["id"]: row["status"] for row in rows}
            self.stdout.flush()
            time.sleep(_WATCH_SECONDS)

    def _print(self, rows: list[dict[str, Any]], *, head: bool = True) -> None:
        if head:
            self.say(
                _COLUMNS.format(
                    id="cycle",
                    namespace="namespace",
                    status="status",
                    trigger="trigger",
                    run_profile_id="run profile",
                    created_at="created",
                )
            )
        for row in rows:
            self.say(
                _COLUMNS.format(
                    **{
                        **row,
                        "run_profile_id": row["run_profile_id"] or "-",
                        "created_at": f"{row['created_at']:%Y-%m-%d %H:%M:%S}",
                    }
                )
            )


def _newest(limit: int) -> list[CycleRun]:
    return list(detail.matching(actors.operator())[:limit])


def _row(cycle: CycleRun) -> dict[str, Any]:
    return {
        "id": str(cycle.pk),
        "namespace": cycle.namespace_id,
        "status": cycle.status,
        "trigger": cycle.trigger,
        "run_profile_id": cycle.run_profile_id,
        "created_at": cycle.created_at,
        "finished_at": cycle.finished_at,
    }
