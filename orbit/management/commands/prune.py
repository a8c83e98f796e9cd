"""``prune``: delete what finished longer ago than ORBIT_RETENTION_DAYS, now."""

import sys
import time
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.progress import Progress
from governance.models import OperationRun
from governance.operations import ledger, slices
from governance.states import Operation, Outcome
from orbit.retention import run as retention
from orbit.retention import sweep

_LOOK_SECONDS = 0.1


class Command(OrbitCommand):
    help = "Deletes what finished longer ago than ORBIT_RETENTION_DAYS and isn't referred to."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would be deleted.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self._say(sweep.dry_run().to_json(), {"dry_run": True}, options, would="would be ")
            return
        done = self._run()
        members = {"operation_run_id": done.pk, "outcome": done.outcome}
        self._say(done.progress.get("record", {}), members, options)
        if done.outcome not in {Outcome.SUCCEEDED, Outcome.SKIPPED}:
            sys.exit(1)

    def _run(self) -> OperationRun:
        """Do the slices of the active run or of a new one; a worker may do some of them."""
        run = retention.start(actors.operator())
        with Progress(self.stderr) as bar:
            while True:
                slices.do_next(
                    run.pk, {retention.TYPE: retention.run_slice}, wake=lambda run, due: None
                )
                run = ledger.find(run.pk, actor=actors.operator())
                if run.status == Operation.COMPLETED:
                    return run
                bar.show("deleted", run.progress.get("deleted", 0), unit="rows")
                time.sleep(_LOOK_SECONDS)

    def _say(
        self,
        record: dict[str, Any],
        members: dict[str, Any],
        options: dict[str, Any],
        *,
        would: str = "",
    ) -> None:
        if options["json"]:
            self.print_json({**members, **record})
            return
        for table, number in record.get("deleted", {}).items():
            times = record["finished"].get(table)
            span = f", finished {times[0]} to {times[1]}" if times else ""
            self.say(f"{table}: {number} {would}deleted{span}")
        for table, reasons in record.get("kept", {}).items():
            for reason, number in reasons.items():
                self.say(f"{table}: {number} kept: {reason}")
        total = sum(record.get("deleted", {}).values())
        self.say(f"{total} rows {would}deleted, finished until {record.get('finished_until')}")
