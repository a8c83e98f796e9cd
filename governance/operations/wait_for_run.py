"""Waiting for an operation run at a terminal, and saying how it ended."""

import sys
import time
from typing import Any
from uuid import UUID

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.models import OperationRun
from governance.operations import counts, ledger
from governance.states import Operation, Outcome

_LOOK_SECONDS = 0.5
_BAR = 30


def until_ended(command: OrbitCommand, run_id: UUID) -> OperationRun:
    """Look until the run has ended, with a bar where somebody watches; return it."""
    while True:
        run = ledger.find(run_id, actor=actors.operator())
        if sys.stderr.isatty():
            done, total = run.progress.get("processed", 0), max(1, run.progress.get("total", 0))
            filled = _BAR * done // total
            command.stderr.write(
                f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {done} of {total}  {run.progress.get('note', '')[:60]:<60}",
                ending="",
            )
            command.stderr.flush()
        if run.status == Operation.COMPLETED:
            if sys.stderr.isatty():
                command.stderr.write("")
            return run
        time.sleep(_LOOK_SECONDS)


def report(command: OrbitCommand, run: OperationRun, options: dict[str, Any]) -> None:
    """Say how the run ended, as JSON where that was asked for; exit with 1 unless nothing failed."""
    if options["json"]:
        command.print_json(
            {
                "operation_run_id": run.pk,
                "outcome": run.outcome,
                "summary_counts": run.summary_counts,
                "note": run.progress.get("note"),
            }
        )
    else:
        told = ", ".join(
            f"{run.summary_counts[key]} {key}" for key in counts.KEYS if key in run.summary_counts
        )
        command.say(
            f"operation run {run.pk} {run.outcome}: {told}"
            + (f"; {run.progress['note']}" if "note" in run.progress else "")
        )
    if run.outcome not in {Outcome.SUCCEEDED, Outcome.SKIPPED}:
        sys.exit(1)
