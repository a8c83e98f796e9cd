"""``manage.py rerun``: run finished cycles again, one or many."""

import sys
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.operations.bulk_command import BulkCommand
from governance.rest import queries
from orbit.cycles.rerun import bulk, preview, single
from orbit.cycles.rerun.bulk import CycleFilter, CycleSelection
from orbit.errors import CycleUnknown
from orbit.management import wait
from orbit.states import Cycle, Trigger

_MAX_PRINTED = 20


class Command(BulkCommand[CycleFilter]):
    help = (
        "Runs finished cycles again. The new cycle takes over what succeeded and makes only the"
        " deliveries that were never made."
    )
    noun = "cycle"
    filter_type = CycleFilter
    unknown = CycleUnknown
    max_ids = bulk.MAX_IDS
    readers = {
        "namespace": queries.text,
        "status": queries.one_of(Cycle),
        "run_profile_id": queries.text,
        "created_from": queries.moment,
        "created_to": queries.moment,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_selection(
            parser,
            matches="Finished cycles that were not run again yet",
            rate=bulk.RATE,
            max_rate=bulk.MAX_RATE,
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would be done, and do nothing."
        )
        parser.add_argument(
            "--wait", action="store_true", help="Wait for the end; exit with 0 only for success."
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=120.0,
            metavar="SECONDS",
            help="With one: how long to wait at most (120).",
        )
        parser.add_argument("--reason", default="", help="Why; a dry run needs none.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["dry_run"]:
            self.require_reason(options)
        selection = self.read_selection(options)
        if isinstance(selection, list) and len(selection) == 1:
            act = self._preview_one if options["dry_run"] else self._rerun_one
            act(selection[0], options)
        else:
            act_on_many = self._preview_many if options["dry_run"] else self._rerun_many
            act_on_many(selection, options)

    def _preview_one(self, cycle_id: UUID, options: dict[str, Any]) -> None:
        plan = single.preview(cycle_id, actor=actors.operator())
        if options["json"]:
            self.print_json(preview.document(plan))
            return
        refused = f"; refused now: {plan.stopped.detail}" if plan.stopped else ""
        self.say(f"cycle {cycle_id}: {preview.sentence(plan)}{refused}")

    def _rerun_one(self, cycle_id: UUID, options: dict[str, Any]) -> None:
        new_id = single.start(
            cycle_id, actor=actors.operator(), reason=options["reason"], source=Trigger.COMMAND
        )
        status = (
            wait.for_cycle(new_id, timeout=options["timeout"]) if options["wait"] else Cycle.PENDING
        )
        if options["json"]:
            self.print_json({"cycle_run_id": new_id, "rerun_of": cycle_id, "status": status})
        else:
            self.say(f"cycle {cycle_id} runs again as {new_id}: {status}")
        if options["wait"] and status != Cycle.SUCCESS:
            sys.exit(1)

    def _preview_many(self, selection: CycleSelection, options: dict[str, Any]) -> None:
        cycle_ids = bulk.preview(selection, actor=actors.operator())
        if options["json"]:
            self.print_json({"matched": len(cycle_ids), "cycle_run_ids": cycle_ids})
            return
        self.say(f"{len(cycle_ids)} cycles would run again")
        for cycle_id in cycle_ids[:_MAX_PRINTED]:
            self.say(f"  {cycle_id}")

    def _rerun_many(self, selection: CycleSelection, options: dict[str, Any]) -> None:
        started = bulk.start(
            selection,
            actor=actors.operator(),
            reason=options["reason"],
            source=Trigger.COMMAND,
            rate=options["rate"],
        )
        self.finish(started, options)
