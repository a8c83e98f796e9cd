"""``manage.py rerun``: finished cycles run again, one or many."""

import sys
import time
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.operations import wait_for_run
from governance.rest import queries
from orbit.cycles.rerun import bulk, preview, single
from orbit.errors import CycleUnknown
from orbit.models import CycleRun
from orbit.states import CYCLE, Cycle, Trigger

_LOOK_SECONDS = 0.2
_SHOWN = 20
_READERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "status": queries.one_of(Cycle),
    "run_profile_id": queries.text,
    "created_from": queries.moment,
    "created_to": queries.moment,
}


class ReasonMissing(OrbitError):
    """A re-run needs a reason in words, at most 2000 characters."""

    code, kind = "invalid_reason", Kind.INVALID


class CyclesUnclear(OrbitError):
    """Name cycles by their ids, or by --filter, or say --all."""

    code, kind = "invalid_selection", Kind.INVALID


class Command(OrbitCommand):
    help = "Runs finished cycles again: what succeeded is taken over, and only what never was is delivered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cycle", nargs="*", help=f"One cycle, or up to {bulk.MOST_IDS}.")
        parser.add_argument("--filter", action="append", default=[], metavar="NAME=VALUE",
                            help=f"Finished cycles that were not run again yet; again for more: {', '.join(_READERS)}.")  # fmt: skip
        parser.add_argument(
            "--all", action="store_true", help="All that have finished and were not run again yet."
        )
        parser.add_argument(
            "--rate",
            type=int,
            default=bulk.RATE,
            help=f"With many: cycles a second ({bulk.RATE}; at most {bulk.FASTEST}).",
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
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["dry_run"] and (
            not options["reason"].strip() or len(options["reason"]) > 2000
        ):
            raise ReasonMissing
        wanted = _wanted(options)
        if isinstance(wanted, bulk.Filter) or len(wanted) > 1:
            self._many(wanted, options)
        else:
            self._one(wanted[0], options)

    def _one(self, cycle_id: UUID, options: dict[str, Any]) -> None:
        if options["dry_run"]:
            plan = single.preview(cycle_id, actor=actors.operator())
            if options["json"]:
                self.print_json(preview.document(plan))
            else:
                self.say(
                    f"cycle {cycle_id}: {preview.sentence(plan)}"
                    + (f"; just now refused: {plan.stopped.detail}" if plan.stopped else "")
                )
            return
        new = single.start(
            cycle_id, actor=actors.operator(), reason=options["reason"], source=Trigger.COMMAND
        )
        status = _ended(new, options["timeout"]) if options["wait"] else Cycle.PENDING
        if options["json"]:
            self.print_json({"cycle_run_id": new, "rerun_of": cycle_id, "status": status})
        else:
            self.say(f"cycle {cycle_id} runs again as {new}: {status}")
        if options["wait"] and status != Cycle.SUCCESS:
            sys.exit(1)

    def _many(self, wanted: bulk.Wanted, options: dict[str, Any]) -> None:
        actor = actors.operator()
        if options["dry_run"]:
            found = bulk.preview(wanted, actor=actor)
            if options["json"]:
                self.print_json({"matched": len(found), "cycle_run_ids": found})
            else:
                self.say(
                    f"{len(found)} cycles would run again"
                    + ("".join(f"\n  {one}" for one in found[:_SHOWN]))
                )
            return
        started = bulk.start(
            wanted,
            actor=actor,
            reason=options["reason"],
            source=Trigger.COMMAND,
            rate=options["rate"],
        )
        if options["wait"]:
            wait_for_run.report(self, wait_for_run.until_ended(self, started.run_id), options)
        elif options["json"]:
            self.print_json({"operation_run_id": started.run_id, "matched": started.matched})
        else:
            self.say(
                f"operation run {started.run_id}: {started.matched} cycles. See `manage.py operations {started.run_id}`."
            )


def _wanted(options: dict[str, Any]) -> bulk.Wanted:
    """Return the cycles that are meant. Raises CyclesUnclear, and CycleUnknown for what is no id."""
    if sum((bool(options["cycle"]), bool(options["filter"]), options["all"])) != 1:
        raise CyclesUnclear
    if options["cycle"]:
        if len(set(options["cycle"])) > bulk.MOST_IDS:
            raise CyclesUnclear(f"At most {bulk.MOST_IDS} ids at once. Use --filter.")
        try:
            return sorted({UUID(text) for text in options["cycle"]})
        except ValueError:
            raise CycleUnknown(f"There is no cycle {' '.join(options['cycle'])[:100]!r}.") from None
    given: dict[str, Any] = {}
    for text in options["filter"]:
        name, _, value = text.partition("=")
        if name not in _READERS or name in given:
            raise CyclesUnclear(
                f"--filter {text[:100]!r}: write each of {', '.join(_READERS)} once, as NAME=VALUE."
            )
        try:
            given[name] = _READERS[name](value)
        except ValueError as error:
            raise CyclesUnclear(f"--filter {name}: {error}.") from None
    return bulk.Filter(**given)


def _ended(cycle_id: UUID, seconds: float) -> str:
    """Return the status with which the cycle ended, or which it has after ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        status = CycleRun.objects.values_list("status", flat=True).get(pk=cycle_id)
        if Cycle(status) in CYCLE.final or time.monotonic() >= until:
            return status
        time.sleep(_LOOK_SECONDS)
